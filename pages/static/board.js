// What the board's pages do beyond what plain forms and links do. Each page works without it.

import { renew } from "./renew.js";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Times are UTC on the page; here they become those of the reader.
export function localTimes(within = document) {
  const thisYear = new Date().getFullYear();
  for (const time of all("time[datetime]", within)) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    const year = moment.getFullYear() === thisYear ? undefined : "numeric";
    const day = moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
    time.textContent = `${day}, ${moment.toLocaleTimeString("en-GB", { timeStyle: "short" })}`;
  }
}

// A quote may be cut where another one begins: all its pieces are lit, and the first is shown.
function lightQuote(shows = true) {
  const name = decodeURIComponent(location.hash.slice(1));
  for (const mark of all("mark.lit")) mark.classList.remove("lit");
  for (const link of all(".quotes a[aria-current]")) link.removeAttribute("aria-current");
  if (!/^(quote|flag)-/.test(name)) return;
  const marks = all("mark[data-spans]").filter((mark) => mark.dataset.spans.split(" ").includes(name));
  for (const mark of marks) mark.classList.add("lit");
  document.querySelector(`.quotes a[href="#${CSS.escape(name)}"]`)?.setAttribute("aria-current", "true");
  if (!marks.length || !shows) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  marks[0].scrollIntoView({ block: "center", behavior: still ? "auto" : "smooth" });
}

// The name of whoever reviews is typed once, and kept in this tab.
function rememberNames(within = document) {
  for (const field of all("[data-remember]", within)) {
    const name = `board-${field.dataset.remember}`;
    if (!field.value) field.value = sessionStorage.getItem(name) ?? "";
    field.addEventListener("change", () => {
      sessionStorage.setItem(name, field.value);
      for (const other of all(`[data-remember="${field.dataset.remember}"]`)) {
        if (!other.value) other.value = field.value;
      }
    });
  }
}

function limitComparison() {
  const form = document.getElementById("comparison");
  if (!form) return;
  const most = Number(form.dataset.most);
  const chosen = document.getElementById("chosen");
  form.addEventListener("change", () => {
    const boxes = all('input[name="i"]', form);
    const number = boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.disabled = !box.checked && number >= most;
    chosen.textContent = number === 0 ? "Tick two to four applicants." : `${number} of ${most} ticked.`;
  });
}

function copyButtons() {
  for (const field of all("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "second";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      field.select();
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    });
    field.after(button);
  }
}

function showPrint() {
  const button = document.getElementById("print");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => print());
}

localTimes();
rememberNames();
limitComparison();
copyButtons();
showPrint();
lightQuote();
addEventListener("hashchange", () => lightQuote());
// Also when the address has it already.
document.addEventListener("click", (event) => {
  if (event.target.closest('.quotes a[href^="#"]')) setTimeout(() => lightQuote());
});
document.getElementById("errors")?.focus();
renew(document.body.dataset.version, (part) => {
  localTimes(part);
  rememberNames(part);
  lightQuote(false);
});
