// The applicant's room: opens the invitation, and shows the state that the interview is in.
//
// The secret of the link is in the URL's fragment, which stays there, so that a reload or a bookmark
// opens the same room. Everything else comes from the API, and is put into the page as text only.
// The conversation itself is in conversation.js, which is loaded once it begins.

const body = document.body;
const root = body.dataset.root;
const secret = location.hash.match(/^#([\w-]+)/)?.[1] ?? "";

// Seconds between attempts after a failure; the last one for all further attempts.
const PAUSES = [1, 2, 4, 8, 15, 30];

/** An answer of the API that is an error. */
export class Refused extends Error {
  constructor(status, told, retryAfter) {
    super(told.error ?? told.message ?? `status ${status}`);
    this.status = status;
    this.reason = told.reason;
    this.retryAfter = Number(retryAfter) || 0; // seconds
  }

  /** True if the same request may succeed later. */
  get isPassing() {
    return [408, 425, 429].includes(this.status) || this.status >= 500;
  }
}

/** The service could not be reached, or the connection broke before the end of its answer. */
export class Lost extends Error {}

/** The API, as far as this applicant may use it. */
export class Room {
  #token = null;
  #again = () => {};

  /** Exchange the secret for a token, and for what the applicant may know. */
  async open() {
    const answer = await this.#fetch("POST", "open_invitation", { secret });
    const opened = await answer.json();
    this.#token = opened.token;
    this.invitation = opened;
    // Devices' clocks are often wrong, and the time limit counts by the service's.
    this.clockSkew = Date.parse(answer.headers.get("Date")) - Date.now() || 0; // milliseconds
    return opened;
  }

  /** What names the interview, in bodies and in paths. */
  get fields() {
    const { accessKey, name, email } = this.invitation;
    return { accessKey, name, email };
  }

  /** The name under which this device keeps what is being written. */
  get shelf() {
    return `tukma-interview ${JSON.stringify(this.fields)}`;
  }

  get #path() {
    return Object.values(this.fields).map(encodeURIComponent).join("/");
  }

  /** Return the messages, without the prompt, which is the recruiter's. */
  async messages() {
    const answer = await this.call("GET", `get_messages/${this.#path}`);
    return (await answer.json()).messages.slice(1);
  }

  /** Return how far the interview is: uninitiated, started or finished. */
  async status() {
    const answer = await this.call("GET", `interview_status/${this.#path}`);
    return (await answer.json()).status;
  }

  /** Return the page that explains to the applicant how the interview was used. */
  async explanation() {
    const path = `explain/${this.#path}?language=${document.documentElement.lang}`;
    const answer = await this.call("GET", path, undefined, { headers: { Accept: "text/html" } });
    return answer.text();
  }

  /** Return the position's notice, and what this applicant has accepted and asked for. */
  async notice() {
    const { accessKey, ...applicant } = this.fields;
    const query = new URLSearchParams(applicant);
    return (await this.call("GET", `notice/${encodeURIComponent(accessKey)}?${query}`)).json();
  }

  /** Accept a version of the notice. */
  accept(version) {
    return this.call("POST", "consent", { ...this.fields, version });
  }

  /** Ask for another way than the interview. */
  askAnotherWay() {
    return this.call("POST", "another_way", this.fields);
  }

  /** Put a note to a message of the applicant's. */
  correct(message_id, note) {
    return this.call("POST", "correct_message", { ...this.fields, message_id, note });
  }

  /** Make a request with the token; a token that has ended is replaced by means of the secret. */
  async call(method, path, body, options) {
    try {
      return await this.#fetch(method, path, body, options);
    } catch (error) {
      if (error.status !== 401) throw error;
      await this.open();
      return this.#fetch(method, path, body, options);
    }
  }

  async #fetch(method, path, body, { headers = {}, signal } = {}) {
    const request = {
      method,
      headers: {
        ...(body && { "Content-Type": "application/json" }),
        ...(this.#token && { Authorization: `Bearer ${this.#token}` }),
        ...headers,
      },
      body: body && JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
    };
    const answer = await fetch(root + path, request).catch((cause) => {
      throw new Lost("no answer", { cause });
    });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, told, answer.headers.get("Retry-After"));
  }

  /** Repeat an attempt until it succeeds or is refused for good; `tell` gets the kind of trouble. */
  async persistently(attempt, tell) {
    for (let tries = 0; ; tries++) {
      try {
        const result = await attempt();
        tell(null);
        return result;
      } catch (error) {
        if (!(error instanceof Lost || error.isPassing)) throw error;
        if (!navigator.onLine) tell("offline");
        else tell(error instanceof Refused ? "busy" : "lost");
        const pause = PAUSES[Math.min(tries, PAUSES.length - 1)] * (0.75 + Math.random() / 2);
        await this.#wait(Math.max(pause, error.retryAfter ?? 0));
      }
    }
  }

  /** Let what waits try again at once. */
  tryNow() {
    this.#again();
  }

  #wait(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#again = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Show one of the states, and let readers of the screen know that the page has changed. */
export function show(...ids) {
  for (const section of document.querySelectorAll(".state")) {
    section.hidden = !ids.includes(section.id);
  }
  body.dataset.state = ids[0];
  const heading = document.querySelector(`#${ids[0]} h1`);
  if (!heading) return;
  document.title = heading.textContent;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** Put a text into the places that are kept for it. */
export function fill(name, text) {
  for (const place of document.querySelectorAll(`[data-fill="${name}"]`)) place.textContent = text;
}

/** Show the page that says why the room cannot be entered. */
export function refuse(error) {
  const reason = error.reason ?? { 404: "off", 409: "closed" }[error.status];
  show(document.getElementById(reason)?.classList.contains("state") ? reason : "unknown");
}

/** Return a time as people write it. */
export function moment(time) {
  const style = { dateStyle: "long", timeStyle: "short" };
  return new Date(time).toLocaleString(document.documentElement.lang, style);
}

function fillIn({ title, name, email, expires_at, expectedMinutes, timeLimit }) {
  fill("title", title);
  fill("name", name);
  fill("email", email);
  fill("minutes", expectedMinutes ?? "");
  fill("expires", moment(expires_at));
  for (const part of document.querySelectorAll("[data-if]")) {
    part.hidden = !{
      minutes: expectedMinutes !== null,
      limited: timeLimit !== null,
      guessed: timeLimit === null && expectedMinutes !== null,
    }[part.dataset.if];
  }
}

/** Return the code of the language that a position calls so, if the page knows it. */
export function languageOf(name) {
  const names = JSON.parse(body.dataset.languages);
  const words = (name ?? "").toLowerCase().match(/\p{L}+/gu) ?? [];
  return words.map((word) => names[word]).find(Boolean);
}

/** Load the page in the position's language, unless the applicant has chosen one; true if so. */
function changesLanguage(language) {
  const wanted = languageOf(language);
  if (!wanted || wanted === document.documentElement.lang) return false;
  if (new URLSearchParams(location.search).has("language")) return false;
  location.replace(`?language=${wanted}${location.hash}`);
  return true;
}

/** Return whether Start was pressed here before, and the page was left before the opening came. */
function wasBegun(room) {
  try {
    return JSON.parse(localStorage.getItem(room.shelf))?.pending?.kind === "start";
  } catch {
    return false; // there is no storage
  }
}

/** Return what shows that the service cannot be reached, and a state of the page again once it is. */
export function whenReached(state) {
  return (trouble) => {
    const isShown = body.dataset.state === "trouble";
    if (trouble && !isShown) show("trouble");
    if (!trouble && isShown && state) show(state);
  };
}

/** Let the buttons for it lead to another way, and back to where the page was. */
function offerAnotherWay(room) {
  for (const button of document.querySelectorAll("[data-another-way]")) {
    button.addEventListener("click", async () => {
      const { state } = body.dataset;
      try {
        const { anotherWay } = await import("./another_way.js");
        await anotherWay(room);
        if (body.dataset.state !== "ended") return show(state);
        // The last words came meanwhile.
        show("interview", "after");
        body.dataset.state = "ended";
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refuse(error);
      }
    });
  }
}

async function converse(room) {
  const { Conversation } = await import("./conversation.js");
  await new Conversation(room).run();
}

async function main() {
  for (const link of document.querySelectorAll("a.language")) link.hash = location.hash;
  addEventListener("hashchange", () => location.reload());
  if (!secret) return show("nothing");
  const room = new Room();
  addEventListener("online", () => room.tryNow());
  document.addEventListener("visibilitychange", () => document.hidden || room.tryNow());
  for (const id of ["reload", "retry"]) {
    document.getElementById(id).addEventListener("click", () => room.tryNow());
  }
  show("opening");
  try {
    const opened = await room.persistently(() => room.open(), whenReached());
    if (changesLanguage(opened.language)) return;
    fillIn(opened);
    const notice = await room.persistently(() => room.notice(), whenReached());
    room.hasAsked = Boolean(notice.another_way_at);
    room.correctionHours = notice.correctionHours;
    offerAnotherWay(room);
    if (room.hasAsked && opened.status !== "finished") {
      await (await import("./another_way.js")).anotherWay(room);
    }
    if (opened.status === "uninitiated" && !wasBegun(room)) {
      await (await import("./before.js")).welcome(room, notice);
    }
    await converse(room);
  } catch (error) {
    // The notice has changed since it was accepted: it is to be read, and accepted, again.
    if (error.reason === "consent_missing") return location.reload();
    if (error instanceof Refused) return refuse(error);
    // A part of the page itself did not come.
    show("trouble");
    for (const sign of ["online", "click"]) addEventListener(sign, () => location.reload());
    throw error;
  }
}

main();
