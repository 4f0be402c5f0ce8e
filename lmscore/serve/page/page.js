// The page of the server: texts, the surprisal of their words, and what the model expected instead.
const LN2 = Math.log(2);
const PAUSE = 200; // milliseconds without a key before a text is scored
const WANTED = 8; // words of a list

const byId = (id) => document.getElementById(id);
const chosen = () => ({ model: byId("model").value || null, per: byId("unit").value });

// Offsets of the server count characters, those of JavaScript halves of some characters.
const slice = (text, start, end) => Array.from(text).slice(start, end).join("");

async function ask(path, body, signal) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, { ...options, signal });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.error.message);
  return document;
}

class Side {
  constructor(title, changed) {
    const root = byId("side").content.firstElementChild.cloneNode(true);
    const find = (name) => root.querySelector(name);
    Object.assign(this, {
      root, changed, area: find("textarea"), problem: find(".problem"), words: find(".words"),
      total: find(".total"), word: find(".word"), heading: find(".heading"), list: find(".list"),
      units: new Map(), cache: new Map(), lines: [],
    });
    this.area.id = `text-${title.replace(/\W/g, "")}`;
    find(".title").textContent = title;
    find(".title").htmlFor = this.area.id;
    this.select = attachWords(this.words, (element) => this.show(this.units.get(element)));
    this.area.addEventListener("input", () => this.later());
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.score(), PAUSE);
  }

  // Score the text; an answer that comes after the next question is dropped.
  async score() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const { model, per } = chosen();
    this.lines = this.area.value.split("\n").map((text, row) => ({ text, row })).filter(({ text }) => text.trim());
    if (!this.lines.length) this.lines = [{ text: "", row: 0 }];
    const input = this.lines.map(({ text }) => text);
    try {
      const answer = await ask("v1/score", {
        input, model, per, context: "sentence", entropy: true, rank: true,
      }, signal);
      this.problem.textContent = "";
      this.draw(answer.data, per);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  fail(error) {
    this.problem.textContent = error.message;
    this.data = null;
    this.changed();
  }

  draw(data, per) {
    this.data = data;
    this.units.clear();
    this.words.replaceChildren(...data.map((scored, at) => this.paragraph(scored, at, per)));
    this.total.textContent = described(totals(data));
    this.select([...this.units.keys()].at(-1));
    this.changed();
  }

  paragraph(scored, at, per) {
    const paragraph = make("p");
    for (const unit of scored[`${per}s`]) {
      const prefix = per === "word" ? "onset_" : "";
      const found = {
        ...unit, line: at, bits: -unit.log_prob / LN2, rank: unit[`${prefix}rank`],
        entropy: unit[`${prefix}entropy`],
        isEnd: unit.start === Array.from(scored.text).length,
      };
      found.shown = found.isEnd ? "⏎" : slice(scored.text, unit.start, unit.end) || unit.text;
      const element = make("i", { role: "option", textContent: found.shown.trim() || "␣" });
      element.classList.toggle("end", found.isEnd);
      this.units.set(element, found);
      if (per === "word" && paragraph.hasChildNodes()) paragraph.append(" ");
      paragraph.append(element);
    }
    this.colour();
    return paragraph;
  }

  // Levels and numbers of the words, in bits or ranks.
  colour() {
    const byRank = byId("by").value === "rank";
    for (const [element, unit] of this.units) {
      const value = byRank ? unit.rank ?? 1 : unit.bits;
      const level = levelOf(value, byRank ? RANKS : BITS);
      element.className = `l${level}${unit.isEnd ? " end" : ""}`;
      element.dataset.n = byRank ? value : value.toFixed(1);
      const name = unit.isEnd ? "end of sentence" : unit.shown;
      element.setAttribute("aria-label", `${name}: ${byRank ? `rank ${value}` : `${value.toFixed(1)} bits`}`);
    }
  }

  show(unit) {
    if (this.shown === unit) return;
    this.shown = unit;
    const name = unit.isEnd ? "End of the sentence" : unit.shown;
    const facts = [
      ["Probability", percent(2 ** -unit.bits)],
      ["Surprisal", `${unit.bits.toFixed(2)} bits`],
      [chosen().per === "word" ? "Rank of its first token" : "Rank", unit.rank ?? "–"],
      ["Entropy", unit.entropy == null ? "–" : `${(unit.entropy / LN2).toFixed(2)} bits expected here`],
    ];
    const rows = facts.flatMap(([term, value]) => [make("dt", { textContent: term }), make("dd", { textContent: value })]);
    this.word.replaceChildren(make("strong", { textContent: name }), unit.is_oov ? " (not in the vocabulary)" : "", make("dl", {}, ...rows));
    clearTimeout(this.asked);
    this.asked = setTimeout(() => this.expect(unit), 80);
  }

  // What the model expects in the place of a word, or after the text.
  async expect(unit) {
    const { text } = this.lines[unit.line];
    const before = slice(text, 0, unit.start);
    const { model } = chosen();
    const key = JSON.stringify([model, before]);
    try {
      if (!this.cache.has(key)) {
        const { data } = await ask("v1/next", { input: before, model, k: WANTED });
        this.cache.set(key, data[0]);
      }
      if (this.shown === unit) this.offer(unit, before, this.cache.get(key));
    } catch (error) {
      if (this.shown !== unit) return;
      this.heading.textContent = error.message;
      this.list.replaceChildren();
    }
  }

  offer(unit, before, { words, unit: kind }) {
    const refocus = this.list.contains(document.activeElement);
    this.heading.textContent = unit.isEnd ? "Go on with" : "Likeliest here";
    this.list.replaceChildren(...words.map(({ word, probability }) => {
      const isEnd = word === "</s>";
      const button = make("button", { type: "button" },
        make("span", { textContent: isEnd ? "⏎ end of sentence" : word.trim() || "␣" }),
        make("span", { textContent: percent(probability) }));
      button.style.setProperty("--share", `${100 * probability}%`);
      button.disabled = isEnd && !unit.isEnd;
      button.addEventListener("click", () => this.take(unit, before, isEnd ? "\n" : word, kind));
      return make("li", {}, button);
    }));
    if (refocus) this.list.querySelector("button:enabled")?.focus();
  }

  // Put a word into the text: in the place of another, or at the end of its line.
  take(unit, before, word, kind) {
    const { text, row } = this.lines[unit.line];
    const space = kind === "word" && word !== "\n" && before.trim() && !/\s$/.test(before) ? " " : "";
    const rows = this.area.value.split("\n");
    rows[row] = unit.isEnd ? text + space + word : before + space + word + slice(text, unit.end);
    this.area.value = rows.join("\n");
    this.score();
  }
}

function totals(data) {
  const sum = (name) => data.reduce((total, one) => total + one[name], 0);
  const bits = -sum("log_prob") / LN2;
  const words = sum("num_words") + data.length;
  return {
    bits, words: sum("num_words"), tokens: sum("num_tokens"), unknown: sum("num_oov"),
    perWord: 2 ** (bits / words), perToken: 2 ** (bits / sum("num_tokens")),
  };
}

const described = ({ bits, words, perWord, perToken, unknown }) =>
  `${bits.toFixed(1)} bits in ${words} words; perplexity ${Number(perWord.toPrecision(4))} per word, ` +
  `${Number(perToken.toPrecision(4))} per token` + (unknown ? `; ${unknown} unknown` : "");

function compare() {
  byId("compared").replaceChildren();
  if (sides.length < 2 || sides.some(({ data }) => !data)) return;
  const [one, two] = sides.map(({ data }) => totals(data));
  const rows = [
    ["Surprisal, bits", "bits", 1], ["Words", "words", 0], ["Tokens", "tokens", 0], ["Unknown tokens", "unknown", 0],
    ["Perplexity per word", "perWord", 2], ["Perplexity per token", "perToken", 2],
  ];
  const cell = (name, text) => make(name, { textContent: text, className: "n" });
  const head = make("tr", {}, make("th"), ...["Text 1", "Text 2", "Difference"].map((name) => cell("th", name)));
  const body = rows.map(([name, key, digits]) => make("tr", {}, make("th", { textContent: name }),
    cell("td", one[key].toFixed(digits)), cell("td", two[key].toFixed(digits)), cell("td", (two[key] - one[key]).toFixed(digits))));
  const gap = two.bits - one.bits;
  const verdict = Math.abs(gap) < 0.05 ? "Both texts are as probable."
    : `Text ${gap > 0 ? 1 : 2} is more probable, by ${Math.abs(gap).toFixed(1)} bits (a factor of 2 to that power).`;
  byId("compared").append(make("p", { textContent: verdict }), make("table", {}, head, ...body));
}

const sides = [];

function addSide() {
  const side = new Side(`Text ${sides.length + 1}`, compare);
  side.area.value = sides.length ? sides[0].area.value : "";
  sides.push(side);
  byId("texts").append(side.root);
  side.score();
  return side;
}

byId("compare").addEventListener("click", ({ target }) => {
  if (sides.length > 1) sides.pop().root.remove();
  else addSide().area.focus();
  const two = sides.length > 1;
  target.setAttribute("aria-pressed", two);
  byId("texts").classList.toggle("two", two);
  byId("comparison").hidden = !two;
});
byId("by").addEventListener("change", () => sides.forEach((side) => side.colour()));
byId("unit").addEventListener("change", () => sides.forEach((side) => side.score()));
byId("numbers").addEventListener("change", ({ target }) => byId("texts").classList.toggle("numbers", target.checked));
byId("model").addEventListener("change", () => sides.forEach((side) => side.score()));

async function begin() {
  const { data } = await ask("v1/models");
  byId("model").append(...data.map(({ id }) => make("option", { textContent: id })));
  byId("models").hidden = data.length < 2;
  const first = addSide();
  first.area.value = "Thanks for all the fish";
  first.score();
  first.area.focus();
}
begin();
