// What is being written, kept on this device until the service has it: the draft, and the message
// that is on its way, with the key by which the service knows it again however often it is sent.

/** The draft and the message under way of one interview, shared by the tabs of a browser. */
export class Draft {
  #shelf;
  #kept = { text: "", pending: null };
  #hasStorage = false; // as far as is known

  /** `onChange` is called when another tab has changed something. */
  constructor(shelf, onChange) {
    this.#shelf = shelf;
    this.#read();
    addEventListener("storage", (event) => {
      if (event.key !== shelf) return;
      this.#read();
      onChange();
    });
  }

  get text() {
    return this.#kept.text;
  }

  set text(text) {
    if (text === this.#kept.text) return;
    this.#kept.text = text;
    this.#write();
  }

  /** The message on its way, `{kind, text, key}`, or null; its kind is "start" or "reply". */
  get pending() {
    return this.#kept.pending;
  }

  /** Let a message be on its way; the draft is what is written next. */
  send(kind, text, draft = "") {
    this.#kept = { text: draft, pending: { kind, text, key: newKey() } };
    this.#write();
  }

  /** Forget the message that the service has, unless another one is on its way by now. */
  forget({ key }) {
    this.#read();
    if (this.#kept.pending?.key !== key) return;
    this.#kept.pending = null;
    this.#write();
  }

  /** Make a message that was not taken the draft again, before what was written since. */
  takeBack(message) {
    this.#read();
    this.#kept.text = [message.text, this.#kept.text].filter(Boolean).join("\n\n");
    if (this.#kept.pending?.key === message.key) this.#kept.pending = null;
    this.#write();
  }

  #read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#shelf));
      if (kept) this.#hasStorage = true;
      if (this.#hasStorage) this.#kept = { text: "", pending: null, ...kept };
    } catch {
      // There is no storage: what is written lasts as long as the page.
    }
  }

  #write() {
    try {
      const { text, pending } = this.#kept;
      if (text || pending) localStorage.setItem(this.#shelf, JSON.stringify(this.#kept));
      else localStorage.removeItem(this.#shelf);
      this.#hasStorage = true;
    } catch {
      this.#hasStorage = false;
    }
  }
}

// Not by crypto.randomUUID(), which is there on secure pages only.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
