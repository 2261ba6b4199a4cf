// Before the interview: the applicant reads the notice, and starts once it is accepted.

import { Refused, languageOf, show, whenReached } from "./room.js";

/** Show what there is to know, and return once the applicant has accepted it and starts. */
export async function welcome(room, notice) {
  show("before");
  const agree = document.getElementById("agree");
  const start = document.getElementById("start");
  for (let isAccepted = false; !isAccepted; ) {
    const told = document.getElementById("notice");
    told.textContent = notice.text;
    told.lang = languageOf(notice.language) ?? "";
    const isAsked = notice.consentRequired && !notice.accepted_at;
    document.getElementById("agreement").hidden = !isAsked;
    document.getElementById("acceptance").hidden = Boolean(notice.consentRequired);
    await new Promise((pressed) => start.addEventListener("click", pressed, { once: true }));
    document.getElementById("agree-missing").hidden = !isAsked || agree.checked;
    agree.setAttribute("aria-invalid", isAsked && !agree.checked);
    if (isAsked && !agree.checked) agree.focus();
    else [notice, isAccepted] = await accepted(room, notice);
  }
}

/** Store that the notice is accepted; if it has changed meanwhile, return the one to be read. */
async function accepted(room, notice) {
  try {
    await room.persistently(() => room.accept(notice.version), whenReached("before"));
    return [notice, true];
  } catch (error) {
    if (!(error instanceof Refused) || ![400, 404, 409].includes(error.status)) throw error;
  }
  notice = await room.persistently(() => room.notice(), whenReached("before"));
  document.getElementById("agree").checked = false;
  document.getElementById("notice-changed").hidden = false;
  document.getElementById("notice-title").focus();
  return [notice, false];
}
