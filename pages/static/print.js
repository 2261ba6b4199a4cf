// A button that prints the page, on pages that are made to be printed.

const button = document.getElementById("print");
button.hidden = false;
button.addEventListener("click", () => print());
