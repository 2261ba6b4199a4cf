// Keeps an open page as it would be if it were loaded now: asks every few seconds whether anything
// is new and, if so, loads the page and replaces the parts that differ.

const EVERY = 6000;
const AT_MOST = 60000;

const parts = (within) => [...within.querySelectorAll("[data-live]")];

// The part without what differs each time, and without what this page's scripts have changed.
function essence(part) {
  const copy = part.cloneNode(true);
  for (const token of copy.querySelectorAll('input[name="csrf_token"]')) token.remove();
  return copy.innerHTML;
}

// What a person is doing in a part must not be taken from under their hands.
function isInUse(part) {
  if (part.contains(document.activeElement) && document.activeElement !== document.body) {
    if (document.activeElement.matches("input, select, textarea, summary")) return true;
  }
  if (part.querySelector("details.act[open]")) return true;
  const fields = [...part.querySelectorAll("input, textarea, select")];
  const isChanged = (field) =>
    field.type === "checkbox" || field.type === "radio"
      ? field.checked !== field.defaultChecked
      : field.type !== "hidden" && field.value !== field.defaultValue && !field.dataset.remember;
  return fields.some((field) => !(field instanceof HTMLSelectElement) && isChanged(field));
}

export function renew(address, whenReplaced) {
  const before = new Map(parts(document).map((part) => [part.id, null]));
  if (!address || !before.size) return;
  let known = null;
  let wait = EVERY;
  let timer = null;

  async function look() {
    const headers = known ? { "If-None-Match": known } : {};
    const answer = await fetch(address, { headers, cache: "no-store", redirect: "manual" });
    if (answer.type === "opaqueredirect") {
      location.reload(); // the session has ended
      return;
    }
    if (!answer.ok) {
      if (answer.status !== 304) throw new Error(String(answer.status));
      return;
    }
    const isFirst = known === null;
    const newest = answer.headers.get("ETag");
    if (await replace(isFirst)) known = newest;
  }

  // Replaces what differs. Returns whether the page is then as it would be now.
  async function replace() {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let isWhole = true;
    for (const part of parts(document)) {
      const newer = page.getElementById(part.id);
      if (!newer) continue;
      const text = essence(newer);
      if (before.get(part.id) === text) continue;
      if (before.get(part.id) !== null && isInUse(part)) {
        isWhole = false;
        continue;
      }
      if (before.get(part.id) !== null || !isSame(part, newer)) {
        if (isInUse(part)) {
          isWhole = false;
          continue;
        }
        part.replaceChildren(...document.importNode(newer, true).childNodes);
        whenReplaced(part);
      }
      before.set(part.id, text);
    }
    return isWhole;
  }

  // Before anything was replaced, what the page shows is compared by its words, but for times, which
  // are shown as the reader's.
  function isSame(part, newer) {
    const words = (element) => {
      const copy = element.cloneNode(true);
      for (const time of copy.querySelectorAll("time")) time.textContent = time.dateTime;
      return copy.textContent.replace(/\s+/g, " ");
    };
    return words(part) === words(newer);
  }

  async function loop() {
    timer = null;
    try {
      await look();
      wait = EVERY;
    } catch {
      wait = Math.min(2 * wait, AT_MOST);
    }
    plan();
  }

  function plan() {
    if (timer === null && !document.hidden) timer = setTimeout(loop, wait);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      timer = null;
    } else {
      clearTimeout(timer);
      timer = setTimeout(loop, 300);
    }
  });
  plan();
}
