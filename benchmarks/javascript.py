"""The JavaScript example in Chromium: how long it loads, how fast it steps and scores, by variant.

    python benchmarks/javascript.py [MODEL]

MODEL has model_int8.onnx and model.onnx. Needs chromium, playwright, and `npm ci --ignore-scripts`
in examples/javascript. Cold is a browser that has nothing; warm, one that has loaded the
page before.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

from lmscore.runtime.load import BUNDLED_MODEL
from tests.browsing import find_chromium
from tests.javascript_server import serving

RUN = """async (graph) => {
  const ort = await import("onnxruntime-web");
  const { Model } = await import("./model.mjs");
  ort.env.wasm.numThreads = 1;
  const read = async (name) => new Uint8Array(await (await fetch(`model/${name}`)).arrayBuffer());
  let begin = performance.now();
  const model = await Model.load(ort, read, graph);
  const load = performance.now() - begin;
  const median = async (run, times) => {
    const found = [];
    for (let i = 0; i < times; i++) {
      const begin = performance.now();
      await run();
      found.push(performance.now() - begin);
    }
    return found.sort((a, b) => a - b)[times >> 1];
  };
  let { state } = await model.run([model.config.bos_token_id], model.initialState());
  const step = await median(async () => {
    ({ state } = await model.run([100], state, { best: 5 }));
  }, 100);
  const text = "the cat sat on the mat and looked out of the window at the rain in the garden";
  const sentence = await median(() => model.score(text), 30);
  const tokens = model.ids(text).length + 1;
  const B = 32, T = 20;
  const int64 = (n, shape) => new ort.Tensor("int64", new BigInt64Array(n).fill(5n), shape);
  const feeds = {
    tokens: int64(B * T, [B, T]), targets: int64(B * T, [B, T, 1]),
    k: new ort.Tensor("int64", BigInt64Array.of(0n), [1]),
    lengths: new ort.Tensor("int32", new Int32Array(B).fill(T), [B]),
    parents: new ort.Tensor("int64", new BigInt64Array(B), [B]),
  };
  if (model.session.inputNames.includes("measured"))
    feeds.measured = new ort.Tensor("int64", BigInt64Array.of(0n), [1]);
  model.config.state.forEach(({ name }, i) => { feeds[name] = model.initialState()[i]; });
  const batch = await median(() => model.session.run(feeds, ["target_log_probs"]), 7);
  return { load, step, sentence, tokens, batch: (1000 * B * T) / batch };
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    model = Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED_MODEL
    graphs = [name for name in ("model_int8.onnx", "model.onnx") if (model / name).is_file()]
    with serving(model) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {platform.machine()}, one thread of WebAssembly")
        for graph in graphs:
            found = measure(browser, url, graph)
            print(json.dumps({"graph": graph, "bytes": (model / graph).stat().st_size, **found}))
        browser.close()


def measure(browser: Any, url: str, graph: str) -> dict[str, float]:
    context = browser.new_context()
    loads = []
    for _ in range(2):
        page = context.new_page()
        page.goto(f"{url}?{graph}")
        found: dict[str, float] = page.evaluate(RUN, graph)
        loads.append(found.pop("load"))
        page.close()
    context.close()
    return {"cold_ms": loads[0], "warm_ms": loads[1], **found}


if __name__ == "__main__":
    main()
