// A model directory of lmscore in JavaScript: scores and next words. Log-probabilities are in nats.
import { Tokenizer } from "@huggingface/tokenizers";

const int64 = (ort, values, shape) =>
  new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);

function fail(text) {
  throw new Error(`a reserved word, and no unknown one to put in its place: ${text}`);
}

export class Model {
  // ort: onnxruntime-web; read: a function from the name of a file to its bytes
  static async load(ort, read, graph = "model_int8.onnx") {
    const json = async (name) => JSON.parse(new TextDecoder().decode(await read(name)));
    const [config, tokenizer] = [await json("config.json"), await json("tokenizer.json")];
    // 3: errors alone. ONNX Runtime warns that an input of the graph has a default value.
    const session = await ort.InferenceSession.create(await read(graph), { logSeverityLevel: 3 });
    // Text is text: a typed </s> is no control token, so the tokenizer knows of none.
    return new Model(ort, config, new Tokenizer({ ...tokenizer, added_tokens: [] }, {}), session);
  }

  constructor(ort, config, tokenizer, session) {
    Object.assign(this, { ort, config, tokenizer, session });
  }

  ids(text) {
    const { bos_token_id: bos, eos_token_id: eos, unk_token_id: unk } = this.config;
    const { ids } = this.tokenizer.encode(text, { add_special_tokens: false });
    return ids.map((id) => (id === bos || id === eos ? unk ?? fail(text) : id)); // of a word model
  }

  // Zeros, one row: the state before <s>.
  initialState() {
    return this.config.state.map(({ layers, size }) =>
      new this.ort.Tensor("float32", new Float32Array(layers * size), [layers, 1, size]));
  }

  // One row of tokens; targets: the token to look up at each place, or none; best: how many of the
  // likeliest next tokens.
  async run(tokens, state, { targets = [], best = 0 } = {}) {
    const T = tokens.length;
    const feeds = {
      tokens: int64(this.ort, tokens, [1, T]),
      targets: int64(this.ort, targets, [1, T, targets.length / T]),
      k: int64(this.ort, [best], [1]),
      lengths: new this.ort.Tensor("int32", Int32Array.of(T), [1]),
      parents: int64(this.ort, [0], [1]),
    };
    const inputs = this.session.inputNames;
    // Rows that get distributions over the whole vocabulary, and rows that are measured.
    if (inputs.includes("distributions")) feeds.distributions = int64(this.ort, [1], [1]);
    if (inputs.includes("measured")) feeds.measured = int64(this.ort, [0], [1]);
    this.config.state.forEach(({ name }, index) => { feeds[name] = state[index]; });
    const wanted = this.config.state.map(({ next }) => next);
    wanted.push(...(targets.length ? ["target_log_probs"] : []));
    wanted.push(...(best ? ["top_log_probs", "top_tokens"] : []));
    const found = await this.session.run(feeds, wanted);
    return { found, state: this.config.state.map(({ next }) => found[next]) };
  }

  // ln P of a sentence, </s> included.
  async score(text) {
    const { bos_token_id: bos, eos_token_id: eos } = this.config;
    const ids = this.ids(text);
    const { found } = await this.run([bos, ...ids], this.initialState(), { targets: [...ids, eos] });
    return found.target_log_probs.data.reduce((sum, logProb) => sum + logProb, 0);
  }

  // The likeliest next tokens after a text, best first: [token, probability].
  async next(text, count = 5) {
    const tokens = [this.config.bos_token_id, ...this.ids(text)];
    const { found } = await this.run(tokens, this.initialState(), { best: count });
    const last = (tokens.length - 1) * count;
    return Array.from({ length: count }, (_, index) => {
      const id = Number(found.top_tokens.data[last + index]);
      return [this.tokenizer.decode([id]), Math.exp(found.top_log_probs.data[last + index])];
    });
  }
}
