// Another way than the interview: the applicant asks for it, and reads what happens next.

import { show, whenReached } from "./room.js";

/** Let the applicant ask, if they have not yet; return once they want to go back. */
export async function anotherWay(room) {
  if (!room.hasAsked) {
    show("way");
    if ((await pressed("way-ask", "way-back")) === "way-back") return;
    await room.persistently(() => room.askAnotherWay(), whenReached());
    room.hasAsked = true;
  }
  show("asked");
  await pressed("asked-on");
}

/** Return the id of the button that is pressed first. */
function pressed(...ids) {
  return new Promise((resolve) => {
    for (const id of ids) document.getElementById(id).onclick = () => resolve(id);
  });
}
