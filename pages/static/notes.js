// Notes that the applicant adds to their own answers after the interview, for as long as they may.

import { Refused, fill, moment } from "./room.js";

const HOUR = 3_600_000; // milliseconds

/** The notes of an interview that is over: those that there are, and forms for others. */
export class Notes {
  #room;
  #messages;
  #until; // milliseconds since 1970, by the service's clock

  constructor(room, messages) {
    this.#room = room;
    this.#messages = messages;
    const ended = Date.parse(`${messages.stored.at(-1)?.timestamp.replace(" ", "T")}Z`);
    this.#until = ended + room.correctionHours * HOUR;
  }

  /** Offer to add notes, if it is not too late. */
  offer() {
    const isOpen = this.#until > Date.now() + this.#room.clockSkew;
    document.getElementById("correcting").hidden = !isOpen;
    if (!isOpen) return;
    fill("correctable", moment(this.#until));
    for (const item of document.querySelectorAll("#messages > .applicant")) this.#offer(item);
  }

  #offer(item) {
    const place = made("noting");
    const [open, form, saved] = place.children;
    const field = form.querySelector("textarea");
    const label = form.querySelector("label");
    label.htmlFor = field.id = `note-${item.dataset.id}`;
    const stored = () => item.querySelector(".note .words")?.textContent ?? "";
    const tell = () => {
      open.querySelector(".add").hidden = Boolean(stored());
      open.querySelector(".change").hidden = !stored();
    };
    const turn = (isOpen) => {
      form.hidden = !isOpen;
      open.hidden = isOpen;
      saved.hidden = true;
      wrong(form, null);
      (isOpen ? field : open).focus();
    };
    tell();
    open.addEventListener("click", () => {
      field.value = stored();
      turn(true);
    });
    field.addEventListener("input", () => wrong(form, null));
    form.querySelector(".cancel").addEventListener("click", () => turn(false));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await this.#save(item, form, field)) {
        tell();
        turn(false);
        saved.hidden = false;
      }
    });
    item.append(place);
  }

  async #save(item, form, field) {
    const note = field.value.trim();
    const most = Number(document.body.dataset.maxNoteChars);
    if (!note) return wrong(form, "empty", field);
    if ([...note].length > most) return wrong(form, "long", field);
    wrong(form, null);
    const button = form.querySelector("button");
    if (button.getAttribute("aria-disabled")) return false;
    button.setAttribute("aria-disabled", "true");
    try {
      await this.#room.persistently(
        () => this.#room.correct(Number(item.dataset.id), note),
        (trouble) => wrong(form, trouble && "trouble"),
      );
      const messages = await this.#room.persistently(
        () => this.#room.messages(),
        (trouble) => wrong(form, trouble && "trouble"),
      );
      this.#messages.note(messages);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return wrong(form, error.status === 409 ? "late" : "refused", field);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }
}

/** Show what is wrong, or nothing; false, so that the caller can return it. */
function wrong(form, name, field) {
  for (const line of form.querySelectorAll("[data-wrong]")) {
    line.hidden = line.dataset.wrong !== name;
  }
  form.querySelector("textarea").setAttribute("aria-invalid", Boolean(field));
  field?.focus();
  return false;
}

function made(name) {
  return document.getElementById(name).content.firstElementChild.cloneNode(true);
}
