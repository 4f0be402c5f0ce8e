// What a report tells of its words: `known` has a row of numbers for each of them.
const known = JSON.parse(document.getElementById("known").textContent);
const panel = document.getElementById("panel");
const texts = document.getElementById("words");
const all = [...texts.querySelectorAll("i")];
const rowOf = new Map(all.map((one, place) => [one, known.words[place]]));
const hasRanks = known.words.some((row) => row.length > 1);

function tell(one) {
  const [tenths, rank, entropy, ...rest] = rowOf.get(one);
  const bits = tenths / 10;
  const facts = [`${bits.toFixed(1)} bits`, `probability ${percent(2 ** -bits)}`];
  if (rank !== undefined) facts.push(`rank ${rank}`, `entropy ${(entropy / 10).toFixed(1)} bits`);
  if (one.classList.contains("u")) facts.push("not in the vocabulary");
  const likelier = [];
  for (let at = 0; at < rest.length; at += 2) likelier.push(`${known.names[rest[at]]} ${rest[at + 1] ? percent(rest[at + 1] / 1000) : "< 0.1 %"}`);
  const name = one.classList.contains("end") ? "End of the sentence" : one.textContent;
  panel.replaceChildren(make("strong", { textContent: name }), `: ${facts.join(", ")}`,
    make("p", { className: "faint", textContent: likelier.length ? `Likeliest here: ${likelier.join(", ")}` : "" }));
}

function colour(byRank) {
  for (const one of all) {
    const [tenths, rank] = rowOf.get(one);
    const value = byRank ? rank : tenths / 10;
    one.classList.remove(...[...one.classList].filter((name) => /^l\d$/.test(name)));
    one.classList.add(`l${levelOf(value, byRank ? RANKS : BITS)}`);
    one.dataset.n = value;
    one.setAttribute("aria-label", `${one.textContent}: ${byRank ? "rank " : ""}${value}${byRank ? "" : " bits"}`);
  }
}

const numbers = make("input", { type: "checkbox" });
numbers.addEventListener("change", () => texts.classList.toggle("numbers", numbers.checked));
const controls = make("p", { className: "controls" }, make("label", {}, numbers, " numbers"));
if (hasRanks) {
  const ranks = make("input", { type: "checkbox" });
  ranks.addEventListener("change", () => colour(ranks.checked));
  controls.append(" ", make("label", {}, ranks, " by rank (of the first token) instead of bits"));
}
texts.before(controls);
texts.setAttribute("role", "listbox");
texts.setAttribute("aria-label", "Words by surprisal");
for (const one of all) one.setAttribute("role", "option");
colour(false);
const select = attachWords(texts, tell);
if (all.length) select(all[0]);
