// One turn: a start or a reply is sent, and the interviewer's words come back as they are written.

import { Lost } from "./room.js";

// Milliseconds without a byte after which a connection is taken for lost. While the interviewer
// thinks, the service sends a heartbeat every five seconds.
const SILENCE = 20_000;

const PATHS = { start: "start_interview", reply: "reply" };

/** Send the message, and return the interviewer's; `onText` gets each longer beginning of it.
 *
 * However often a message is sent with its key, the service takes it once, and answers it once.
 */
export async function turn(room, message, onText) {
  const abort = new AbortController();
  const giveUp = () => abort.abort();
  let timer = setTimeout(giveUp, SILENCE);
  addEventListener("offline", giveUp);
  try {
    const body = { ...room.fields, ...(message.kind === "reply" && { message: message.text }) };
    const answer = await room.call("POST", PATHS[message.kind], body, {
      headers: { Accept: "text/event-stream", "Idempotency-Key": message.key },
      signal: abort.signal,
    });
    let told = "";
    const onBytes = () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, SILENCE);
    };
    for await (const { name, data } of events(answer, onBytes)) {
      if (name === "done") return data.system;
      // The message is kept: sent again with the same key, it gets the answer that is stored.
      if (name === "error") throw new Lost(data.error);
      if (name === "delta") onText((told += data.content));
    }
    throw new Lost("the answer has no end");
  } finally {
    clearTimeout(timer);
    removeEventListener("offline", giveUp);
    abort.abort();
  }
}

/** The events of a response, as they come. */
async function* events(answer, onBytes) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read().catch((cause) => {
      throw new Lost("the connection broke", { cause });
    });
    if (done) return;
    onBytes();
    const complete = (text + value).split("\n\n");
    text = complete.pop();
    for (const event of complete) {
      const [, name, data] = event.match(/^event: (\w+)\ndata: (.*)$/) ?? [];
      if (name) yield { name, data: JSON.parse(data) };
    }
  }
}
