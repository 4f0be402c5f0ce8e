// node score.mjs MODEL < lines: ln P of every line, a tab, and the line, as `lmscore score` orders them.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as ort from "onnxruntime-web";
import { Model } from "./model.mjs";

const [directory, graph] = process.argv.slice(2);
if (!directory) {
  console.error("usage: node score.mjs MODEL [GRAPH] < lines");
  process.exit(2);
}
ort.env.wasm.numThreads = 1;
const model = await Model.load(ort, (name) => readFile(join(directory, name)), graph);
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  console.log(`${(await model.score(line)).toFixed(4)}\t${line}`);
}
process.exit(0); // the threads of WebAssembly would keep Node waiting
