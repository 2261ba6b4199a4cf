// The conversation: sends what the applicant writes, shows what the interviewer says, and keeps both
// through reloads, lost connections, other tabs and other devices.

import { Draft } from "./draft.js";
import { Messages } from "./messages.js";
import { Refused, fill, refuse, show } from "./room.js";
import { turn } from "./turn.js";

// Milliseconds between looks for what another device has sent.
const LOOK = 15_000;

// Milliseconds between looks at the clock.
const TICK = 10_000;

const $ = (id) => document.getElementById(id);

/** One interview, from its opening to its last word. */
export class Conversation {
  #room;
  #messages = new Messages();
  #draft;
  #isUnderWay = false;
  #isFinished = false;
  #awaited = null; // what others had under way when we looked: a message's id, or its key
  #words = $("words");

  constructor(room) {
    this.#room = room;
    this.#draft = new Draft(room.shelf, () => this.#onOtherTab());
  }

  /** Begin or go on, wherever the interview is; return once it goes by itself. */
  async run() {
    this.#listen();
    show("interview");
    this.#words.value = this.#draft.text;
    this.#grow();
    if (this.#room.invitation.status !== "uninitiated") await this.#persist(() => this.#look());
    else if (!this.#draft.pending) this.#draft.send("start", "");
    if (this.#isFinished) return;
    setInterval(() => this.#tick(), TICK);
    setInterval(() => document.hidden || this.#lookAgain(), LOOK);
    document.addEventListener("visibilitychange", () => document.hidden || this.#lookAgain());
    addEventListener("online", () => this.#lookAgain());
    await this.#deliver();
  }

  #listen() {
    this.#words.addEventListener("input", () => {
      this.#draft.text = this.#words.value;
      this.#grow();
      for (const name of ["empty", "wait", "long", "refused"]) notice(name, false);
    });
    this.#words.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
        event.preventDefault();
        $("answer").requestSubmit();
      }
    });
    $("answer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    $("copy").addEventListener("click", () => this.#copy());
    $("save").addEventListener("click", () => this.#save());
    $("explain").addEventListener("click", () => this.#explain());
  }

  #send() {
    const text = this.#words.value.trim();
    const excess = [...text].length - Number(document.body.dataset.maxChars);
    fill("excess", excess);
    notice("empty", !text);
    notice("long", excess > 0);
    notice("wait", this.#isUnderWay && Boolean(text));
    if (!text || excess > 0 || this.#isUnderWay) return;
    this.#draft.send("reply", text);
    this.#words.value = "";
    this.#grow();
    this.#words.focus();
    this.#deliver().catch((error) => this.#giveUp(error));
  }

  /** Send what is on its way until the service has answered it; an interview has one such message. */
  async #deliver() {
    while (!this.#isUnderWay && !this.#isFinished && this.#draft.pending) {
      const message = this.#draft.pending;
      this.#isUnderWay = true;
      $("send").setAttribute("aria-disabled", "true");
      this.#messages.await(this.#isLast(message) ? "" : message.text);
      try {
        await this.#persist(() => this.#exchange(message));
      } catch (error) {
        if (!(error instanceof Refused) || [401, 404, 410].includes(error.status)) throw error;
        await this.#onRefusal(error, message);
      } finally {
        this.#isUnderWay = false;
        $("send").removeAttribute("aria-disabled");
        notice("wait", false);
      }
    }
  }

  async #exchange(message) {
    const answer = await turn(this.#room, message, (text) => this.#messages.tell(text));
    this.#messages.tell(answer);
    this.#messages.end(answer);
    await this.#look();
    this.#draft.forget(message);
  }

  /** The message was not taken: the interview has gone on elsewhere, has ended, or it is too long. */
  async #onRefusal(error, message) {
    await this.#persist(() => this.#look());
    if (message.kind === "start") {
      this.#draft.forget(message);
      if (!this.#messages.stored.length) throw error; // nobody else has started it either
      return;
    }
    this.#draft.takeBack(message);
    if (this.#isFinished) return this.#showLate();
    this.#words.value = this.#draft.text;
    this.#grow();
    notice("refused", true);
  }

  /** Read what is stored, and show it. */
  async #look() {
    const [messages, status] = await Promise.all([this.#room.messages(), this.#room.status()]);
    this.#messages.show(messages);
    this.#isFinished = status === "finished";
    this.#tick();
    if (this.#isFinished) this.#close();
  }

  /** Look for what came from elsewhere; what goes wrong now may go better the next time. */
  async #lookAgain() {
    if (this.#isUnderWay || this.#isFinished) return;
    const count = this.#messages.stored.length;
    try {
      const messages = await this.#room.messages();
      if (this.#isUnderWay) return;
      const newest = messages.at(-1);
      if (messages.length !== count || newest?.role === "user") this.#messages.show(messages);
      if (messages.length !== count) await this.#look();
      this.#takeOver(newest);
    } catch (error) {
      if (error instanceof Refused && !error.isPassing) this.#giveUp(error);
    }
  }

  /** Go on with what another tab or device has under way, if it was under way the last time too. */
  #takeOver(newest) {
    const open = newest?.role === "user" ? newest : null;
    const awaited = this.#draft.pending?.key ?? open?.id ?? null;
    if (awaited !== null && awaited === this.#awaited) {
      // The same words again count once.
      if (!this.#draft.pending) this.#draft.send("reply", open.content, this.#draft.text);
      this.#deliver().catch((error) => this.#giveUp(error));
    }
    this.#awaited = awaited;
  }

  #isLast(message) {
    const newest = this.#messages.stored.at(-1);
    return newest?.role === "user" && newest.content.endsWith(message.text);
  }

  #onOtherTab() {
    if (document.activeElement !== this.#words || document.hidden) {
      this.#words.value = this.#draft.text;
      this.#grow();
    }
    if (!this.#draft.pending) this.#lookAgain();
  }

  #persist(attempt) {
    return this.#room.persistently(attempt, (trouble) => {
      this.#messages.keepInSight(() => {
        for (const name of ["offline", "lost", "busy"]) notice(name, name === trouble);
        $("retry").hidden = !trouble;
        document.body.toggleAttribute("data-trouble", Boolean(trouble));
      });
    });
  }

  #giveUp(error) {
    if (!(error instanceof Refused)) throw error;
    this.#isFinished = true;
    refuse(error);
  }

  /** Show the time that is left, by the service's clock. */
  #tick() {
    const { timeLimit } = this.#room.invitation;
    const opening = this.#messages.stored[0];
    if (!timeLimit || !opening || this.#isFinished) {
      $("time").hidden = true;
      return;
    }
    const begun = Date.parse(`${opening.timestamp.replace(" ", "T")}Z`);
    const left = begun + timeLimit * 1000 - (Date.now() + this.#room.clockSkew);
    fill("minutesLeft", Math.max(1, Math.round(left / 60_000)));
    for (const part of document.querySelectorAll("[data-when]")) {
      part.hidden = (part.dataset.when === "up") !== left <= 0;
    }
    $("time").hidden = false;
    notice("five", left > 0 && left <= 300_000 && timeLimit > 600);
    notice("up", left <= 0);
  }

  /** Show that the interview is over: on top, or, to who has just read its last words, below them. */
  #close() {
    $("composer").hidden = $("elsewhere").hidden = true;
    this.#showLate();
    this.#offerNotes();
    if (!this.#isUnderWay) {
      $("interview-title").hidden = true;
      show("after", "interview");
      return;
    }
    document.body.dataset.state = "ended";
    $("keep").before($("after"));
    $("after").hidden = false;
    this.#messages.follow();
    $("messages").lastElementChild?.focus({ preventScroll: true });
  }

  /** Offer to add notes to what was said. */
  async #offerNotes() {
    const { Notes } = await import("./notes.js");
    new Notes(this.#room, this.#messages).offer();
  }

  /** Show what was written and is not part of the interview, as it had ended meanwhile. */
  #showLate() {
    $("late").hidden = !this.#draft.text;
    $("late").lastElementChild.textContent = this.#draft.text;
  }

  /** Let the field be as high as what is in it. */
  #grow() {
    this.#messages.keepInSight(() => {
      this.#words.style.height = "auto";
      const borders = this.#words.offsetHeight - this.#words.clientHeight;
      this.#words.style.height = `${this.#words.scrollHeight + borders}px`;
    });
  }

  async #copy() {
    const text = this.#messages.asText(this.#room.invitation.title);
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      copyBySelection(text); // there is no clipboard on a page without TLS
    }
    const told = $("copied").firstElementChild;
    told.hidden = true;
    requestAnimationFrame(() => (told.hidden = false));
  }

  async #explain() {
    const { explain } = await import("./explanation.js");
    await explain(this.#room);
  }

  #save() {
    const text = this.#messages.asText(this.#room.invitation.title);
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "interview.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

function notice(name, isShown) {
  const place = document.querySelector(`[data-notice="${name}"]`);
  if (place.hidden === isShown) place.hidden = !isShown;
}

function copyBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
