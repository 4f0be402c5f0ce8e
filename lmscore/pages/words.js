// Words that show how surprising they are, and tell more when the pointer or the keyboard is on them.
"use strict";

// Upper bounds of the levels 0 to 5, in bits and in ranks; what is above is 6.
const BITS = [1, 3, 5, 8, 11, 15];
const RANKS = [1, 3, 10, 30, 100, 1000];

const levelOf = (value, bounds) => {
  const found = bounds.findIndex((bound) => value <= bound);
  return found < 0 ? bounds.length : found;
};

const percent = (p) => {
  const value = 100 * p;
  if (value >= 0.01) return `${Number(value.toPrecision(3))} %`;
  return p > 0 ? `${p.toExponential(1)}` : "0";
};

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

// One word is in the tab order; the arrow keys, Home and End go to the others.
// `show(element)` is called for the word that the pointer or the keyboard is on.
function attachWords(root, show) {
  const words = () => [...root.querySelectorAll("i")];
  const select = (chosen) => {
    for (const one of words()) {
      one.tabIndex = one === chosen ? 0 : -1;
      one.setAttribute("aria-selected", one === chosen);
    }
    if (chosen) show(chosen);
  };
  root.addEventListener("keydown", (event) => {
    const all = words();
    const at = all.indexOf(event.target);
    const moves = {
      ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - 10, ArrowDown: at + 10,
      Home: 0, End: all.length - 1,
    };
    if (at < 0 || !(event.key in moves)) return;
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, moves[event.key]))].focus();
  });
  root.addEventListener("focusin", (event) => event.target.matches("i") && select(event.target));
  root.addEventListener("pointerover", (event) => event.target.matches("i") && select(event.target));
  return select;
}
