// Keeps an open page as it would be if it were loaded now: asks every few seconds whether anything
// is new and, if so, loads the page and replaces the parts that differ.

const EVERY = 6000;
const AT_MOST = 60000;

const parts = (within) => [...within.querySelectorAll("[data-live]")];

// The part as the service has sent it, without what differs each time.
function essence(part) {
  const copy = part.cloneNode(true);
  for (const token of copy.querySelectorAll('input[name="csrf_token"]')) token.remove();
  return copy.innerHTML;
}

// What each part was when it was loaded: taken before any script has changed the page.
const before = new Map(parts(document).map((part) => [part.id, essence(part)]));

// What a person is doing in a part must not be taken from under their hands.
function isInUse(part) {
  const active = document.activeElement;
  if (part.contains(active) && active.matches("input, select, textarea, summary")) return true;
  if (part.querySelector("details.act[open]")) return true;
  return [...part.querySelectorAll("input, textarea")].some((field) =>
    field.type === "checkbox" || field.type === "radio"
      ? field.checked !== field.defaultChecked
      : field.type !== "hidden" && field.value !== field.defaultValue && !field.dataset.remember,
  );
}

export function renew(address, whenReplaced) {
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
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(String(answer.status));
    const newest = answer.headers.get("ETag");
    if (await replace()) known = newest;
  }

  // Replaces what differs. Returns whether the page is then as it would be now.
  async function replace() {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let isWhole = true;
    for (const part of parts(document)) {
      const newer = page.getElementById(part.id);
      if (newer?.tagName !== part.tagName) {
        // The page is made of other parts now, as with the first row of a list.
        location.reload();
        return false;
      }
      const text = essence(newer);
      if (before.get(part.id) === text) continue;
      if (isInUse(part)) {
        isWhole = false;
        continue;
      }
      part.replaceChildren(...document.importNode(newer, true).childNodes);
      before.set(part.id, text);
      whenReplaced(part);
    }
    return isWhole;
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
    clearTimeout(timer);
    timer = document.hidden ? null : setTimeout(loop, 300);
  });
  plan();
}
