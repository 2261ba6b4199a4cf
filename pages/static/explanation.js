// The statement on how the interview was used: the service's own page of it, shown in the room.

import { Refused, refuse, show } from "./room.js";

const $ = (id) => document.getElementById(id);

/** Fetch the statement, with the applicant's token, and show it until the applicant goes back. */
export async function explain(room) {
  const trouble = (kind) => ($("explain-trouble").hidden = !kind);
  let page;
  try {
    page = await room.persistently(() => room.explanation(), trouble);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse(error);
  }
  // The one text from the service that is taken as HTML: a template of its own, in which whatever
  // somebody has written is escaped. No script would run in it either.
  const statement = new DOMParser().parseFromString(page, "text/html").querySelector(".explanation");
  $("statement").replaceChildren(document.adoptNode(statement));
  $("explained").onclick = () => show("after", "interview");
  $("print").onclick = () => print();
  show("explanation");
}
