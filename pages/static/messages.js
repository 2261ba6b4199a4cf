// The conversation on the page: what was said, what is on its way, and what is being said just now.
// Whatever somebody has written is put in as text, never as HTML.

import { moment } from "./room.js";

const list = document.getElementById("messages");
const spoken = document.getElementById("spoken");

const sentences =
  "Segmenter" in Intl &&
  new Intl.Segmenter(document.documentElement.lang, { granularity: "sentence" });

// Pixels by which the newest words may be out of sight while the view still follows them.
const NEAR = 160;

// Pixels between the newest words and what is below or above them.
const MARGIN = 24;

/** The messages of an interview, and at their end what is not stored yet. */
export class Messages {
  stored = [];
  #own = null; // the applicant's message on its way
  #answer = null; // the interviewer's, as far as it has come, or the sign that it is awaited
  #said = ""; // what readers of the screen were told of it

  /** Show the stored messages in the place of all that is on its way. */
  show(stored) {
    this.keepInSight(() => this.#show(stored));
  }

  #show(stored) {
    for (const passing of [this.#own, this.#answer]) passing?.remove();
    this.#own = this.#answer = null;
    this.stored = stored.filter((message) => message.content);
    this.stored.forEach(({ role, content, id }, place) => {
      const kind = role === "user" ? "applicant" : "interviewer";
      let item = list.children[place];
      if (item?.className !== kind) {
        const fresh = made(kind);
        if (item) item.replaceWith(fresh);
        else list.append(fresh);
        item = fresh;
      }
      item.dataset.id = id;
      write(item, content);
    });
    this.#note();
    while (list.children.length > this.stored.length) list.lastElementChild.remove();
  }

  /** Show the notes that the stored messages have by now. */
  note(stored) {
    this.stored = stored.filter((message) => message.content);
    this.#note();
  }

  #note() {
    this.stored.forEach(({ correction }, place) => {
      const item = list.children[place];
      let note = item.querySelector(".note");
      if (!correction) return note?.remove();
      if (!note) item.querySelector(".words").after((note = made("note")));
      note.querySelector("time").textContent = moment(correction.created_at);
      write(note, correction.note);
    });
  }

  /** Show a message that is on its way, unless it is empty, and that its answer is awaited. */
  await(text) {
    this.#said = "";
    if (text) list.append((this.#own = made("applicant")));
    if (text) write(this.#own, text);
    list.append((this.#answer = made("waiting")));
    scroll(hiddenBelow(this.#answer));
  }

  /** Show the answer as far as it has come. */
  tell(text) {
    this.keepInSight(() => this.#tell(text));
    this.#speak(text, false);
  }

  #tell(text) {
    if (this.#answer?.className !== "interviewer") {
      const item = made("interviewer");
      this.#answer?.replaceWith(item);
      this.#answer = item;
    }
    const shown = this.#answer.querySelector(".words").textContent;
    // After a broken connection the answer comes again from its first word.
    if (!shown.startsWith(text)) write(this.#answer, text);
  }

  /** Tell readers of the screen the rest of the answer. */
  end(text) {
    this.#speak(text, true);
  }

  /** Make a change to the page, and keep the newest words in sight if they are. */
  keepInSight(change) {
    const newest = newestVisible();
    const isInSight = !newest || hiddenBelow(newest) < NEAR;
    change();
    if (isInSight) this.follow();
  }

  /** Bring the newest words into sight, but not at the cost of where the message begins. */
  follow() {
    const newest = newestVisible();
    if (!newest) return;
    const { top } = newest.getBoundingClientRect();
    scroll(Math.max(0, Math.min(hiddenBelow(newest), top - MARGIN)));
  }

  /** Return the conversation as plain text. */
  asText(title) {
    const names = Object.fromEntries(
      ["interviewer", "applicant"].map((kind) => [kind, made(kind).firstElementChild.textContent]),
    );
    const parts = this.stored.map(({ role, content, timestamp, correction }, place) => {
      const name = role === "user" ? names.applicant : names.interviewer;
      const note = correction && list.children[place].querySelector(".note h4").textContent;
      const noted = note ? `\n\n${note}\n${correction.note}` : "";
      return `${name} (${timestamp} UTC)\n${content}${noted}`;
    });
    return [title, ...parts].join("\n\n") + "\n";
  }

  /** Let readers of the screen hear whole sentences, once each. */
  #speak(text, isWhole) {
    if (!text.startsWith(this.#said)) {
      if (!isWhole) return;
      this.#said = "";
    }
    if (!this.#said) spoken.replaceChildren();
    let fresh = text.slice(this.#said.length);
    if (!isWhole) fresh = fresh.slice(0, endOfSentences(fresh));
    if (!fresh.trim()) return;
    this.#said += fresh;
    const line = document.createElement("p");
    line.textContent = fresh.trim();
    spoken.append(line);
  }
}

/** Return the length of the sentences that have surely ended: those before the last one. */
function endOfSentences(text) {
  if (sentences) return [...sentences.segment(text)].at(-1)?.index ?? 0;
  return text.search(/[.!?…]\s+\S[^.!?…]*$/) + 1;
}

function made(kind) {
  return document.getElementById(kind).content.firstElementChild.cloneNode(true);
}

function write(item, text) {
  const place = item.querySelector(".words");
  if (place.textContent !== text) place.textContent = text;
}

/** Return how many pixels of an item are below what can be seen; negative if there is more room. */
function hiddenBelow(item) {
  const composer = document.getElementById("composer");
  const covered = composer.hidden ? 0 : composer.offsetHeight;
  return item.getBoundingClientRect().bottom + MARGIN - (innerHeight - covered);
}

function newestVisible() {
  return [...list.children].reverse().find((item) => item.offsetHeight);
}

function scroll(pixels) {
  scrollBy({ top: pixels, behavior: "instant" });
}
