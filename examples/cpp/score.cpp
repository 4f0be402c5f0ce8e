// Scores token ids with the graph of a model of lmscore, and searches for likely continuations:
//   score MODEL.onnx BOS EOS < ids            ln P (nats) of each line of ids, </s> included
//   score MODEL.onnx BOS EOS BEAM STEPS < ids the BEAM likeliest continuations of each line by STEPS ids
// The ids are those of tokenizer.json; BOS and EOS are bos_token_id and eos_token_id of config.json.
#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>
#include <onnxruntime_cxx_api.h>

using Ids = std::vector<int64_t>;
using Outputs = std::map<std::string, Ort::Value>;
class Model {
 public:
  explicit Model(const char* path) : session_(environment_, path, Ort::SessionOptions{}) {
    for (size_t i = 0; i < session_.GetInputCount(); ++i) {
      char* name = nullptr;  // by the C API, which every version has
      Ort::ThrowOnError(Ort::GetApi().SessionGetInputName(session_, i, allocator_, &name));
      Ort::TypeInfo type = session_.GetInputTypeInfo(i);
      shapes_[name] = type.GetTensorTypeAndShapeInfo().GetShape();
      allocator_.Free(name);
    }
  }

  // The state before <s>: zeros in one row of float32 [L, rows, H], as no other input but targets.
  Outputs initial_state() {
    Outputs state;
    for (const auto& [name, shape] : shapes_) {
      if (name == "targets" || shape.size() != 3) continue;
      Ids one{shape[0], 1, shape[2]};
      Ort::Value zeros = Ort::Value::CreateTensor<float>(allocator_, one.data(), one.size());
      std::fill_n(zeros.GetTensorMutableData<float>(), one[0] * one[2], 0.0f);
      state.emplace(name, std::move(zeros));
    }
    return state;
  }

  // One run of rows of tokens of equal length. targets: one at each place, or none. parents: the row
  // of `state` that each row goes on from. best: how many likeliest next tokens. `state` becomes the
  // state after the tokens; `wanted` are the other outputs.
  Outputs run(Ids tokens, Ids targets, Ids parents, int64_t best, Outputs& state,
              const std::vector<std::string>& wanted) {
    const int64_t rows = parents.size(), length = tokens.size() / rows;  // no empty batch: it aborts
    std::vector<int32_t> lengths(rows, static_cast<int32_t>(length));
    Ids k{best}, all{rows}, none{0};
    std::vector<const char*> inputs, outputs;
    std::vector<Ort::Value> values;
    auto feed = [&](const char* name, auto& data, std::vector<int64_t> shape) {
      if (!shapes_.count(name)) return;  // such as `distributions`, of big vocabularies alone
      inputs.push_back(name);
      values.push_back(Ort::Value::CreateTensor(memory_, data.data(), data.size(), shape.data(), shape.size()));
    };
    feed("tokens", tokens, {rows, length});
    feed("targets", targets, {rows, length, targets.empty() ? 0 : 1});
    feed("k", k, {1});
    feed("lengths", lengths, {rows});
    feed("parents", parents, {rows});
    feed("distributions", all, {1});
    feed("measured", none, {1});
    std::vector<std::string> names = wanted;
    for (auto& [name, tensor] : state) {
      inputs.push_back(name.c_str());
      values.push_back(std::move(tensor));
      names.push_back("next_" + name);
    }
    for (const std::string& name : names) outputs.push_back(name.c_str());
    std::vector<Ort::Value> made = session_.Run(Ort::RunOptions{nullptr}, inputs.data(), values.data(),
                                                values.size(), outputs.data(), outputs.size());
    Outputs found;
    for (size_t i = 0; i < wanted.size(); ++i) found.emplace(wanted[i], std::move(made[i]));
    size_t next = wanted.size();
    for (auto& [name, tensor] : state) tensor = std::move(made[next++]);
    return found;
  }

 private:
  Ort::Env environment_{ORT_LOGGING_LEVEL_ERROR, "score"};  // no warning of an input with a default
  Ort::Session session_;
  Ort::AllocatorWithDefaultOptions allocator_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::map<std::string, std::vector<int64_t>> shapes_;  // of the inputs
};

double score(Model& model, Ids ids, int64_t bos, int64_t eos) {
  Ids read = ids;
  read.insert(read.begin(), bos);
  ids.push_back(eos);
  Outputs state = model.initial_state(), found = model.run(read, ids, {0}, 0, state, {"target_log_probs"});
  const float* log_probs = found.at("target_log_probs").GetTensorData<float>();
  return std::accumulate(log_probs, log_probs + ids.size(), 0.0);
}

// A beam search: a step feeds each hypothesis's last token, and `parents`, its row of the state.
void search(Model& model, Ids ids, int64_t bos, int64_t beam, int64_t steps) {
  struct Hypothesis { double log_prob; Ids ids; };
  std::vector<Hypothesis> hypotheses{{0.0, {}}};
  Outputs state = model.initial_state();
  Ids read = std::move(ids), parents{0};
  read.insert(read.begin(), bos);
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t length = read.size() / parents.size();
    Outputs found = model.run(read, {}, parents, beam, state, {"top_log_probs", "top_tokens"});
    const float* log_probs = found.at("top_log_probs").GetTensorData<float>() + (length - 1) * beam;
    const int64_t* tokens = found.at("top_tokens").GetTensorData<int64_t>() + (length - 1) * beam;
    Ids order(hypotheses.size() * beam);
    std::iota(order.begin(), order.end(), 0);
    auto total = [&](int64_t i) { return hypotheses[i / beam].log_prob + log_probs[i]; };
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return total(a) > total(b); });
    std::vector<Hypothesis> best;
    read.resize(beam), parents.resize(beam);
    for (int64_t i = 0; i < beam; ++i) {
      parents[i] = order[i] / beam, read[i] = tokens[order[i]];
      best.push_back({total(order[i]), hypotheses[parents[i]].ids});
      best.back().ids.push_back(read[i]);
    }
    hypotheses = std::move(best);
  }
  for (const Hypothesis& hypothesis : hypotheses) {
    std::cout << hypothesis.log_prob;
    for (int64_t id : hypothesis.ids) std::cout << ' ' << id;
    std::cout << '\n';
  }
}

int main(int argc, char** argv) try {
  if (argc != 4 && argc != 6) throw std::invalid_argument("usage: score MODEL.onnx BOS EOS [BEAM STEPS]");
  std::cout << std::fixed << std::setprecision(4);
  Model model(argv[1]);
  const int64_t bos = std::stoll(argv[2]), eos = std::stoll(argv[3]);
  for (std::string line; std::getline(std::cin, line);) {
    Ids ids;
    std::istringstream words(line);
    for (int64_t id; words >> id;) {
      if (id < 0) throw std::invalid_argument("a negative id: " + line);
      ids.push_back(id);
    }
    if (!words.eof()) throw std::invalid_argument("not a line of ids: " + line);
    if (argc == 6) search(model, ids, bos, std::stoll(argv[4]), std::stoll(argv[5]));
    else std::cout << score(model, ids, bos, eos) << '\n';
  }
} catch (const std::exception& error) {
  std::cerr << "score: " << error.what() << "\n";
  return 1;
}
