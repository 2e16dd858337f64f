// SPDX-License-Identifier: Apache-2.0
// Takes the text of /proc/kallsyms apart: 100,000 to 300,000 lines, of which JavaScript that is interpreted makes a second of CPU
// time, and ten on a small ARM core. Nothing here allocates or keeps anything: the caller brings the arrays.
#include <cstring>

#include "addon.h"

namespace {

// Of the state that the caller passes, by index; `kallsyms-text.ts` has the same names.
enum State : size_t {
  // In: how much may still be kept, and the address before these lines.
  kSymbolsRoom,
  kNameBytesRoom,
  // In and out.
  kLastHigh,
  kLastLow,
  // Out.
  kConsumed,
  kLeft,
  kRuns,
  kNameBytes,
  kInOrder,
  kShown,
  kStateWords,
};

constexpr size_t kRunWords = 4;
// `0 t a` and a newline.
constexpr size_t kLineBytesMin = 6;

struct Line {
  uint64_t address = 0;
  uint8_t type = 0;
  const uint8_t* name = nullptr;
  size_t nameBytes = 0;
  const uint8_t* module = nullptr;
  size_t moduleBytes = 0;
};

int HexDigit(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// `ffffffff81000000 T _stext` or `ffffffffc0000000 t name\t[module]`; false for any other line.
bool ParseLine(const uint8_t* begin, const uint8_t* end, Line* line) {
  const uint8_t* at = begin;
  line->address = 0;
  for (int digit; at < end && (digit = HexDigit(*at)) >= 0; at++) line->address = (line->address << 4) | digit;
  if (at == begin || at - begin > 16 || end - at <= 3 || at[0] != ' ' || at[2] != ' ') return false;
  line->type = at[1];
  line->name = at + 3;
  const auto* tab = static_cast<const uint8_t*>(memchr(line->name, '\t', end - line->name));
  line->nameBytes = (tab == nullptr ? end : tab) - line->name;
  line->module = end;
  line->moduleBytes = 0;
  if (tab != nullptr && end - tab >= 3 && tab[1] == '[' && end[-1] == ']') {
    line->module = tab + 2;
    line->moduleBytes = end - 1 - line->module;
  }
  return line->nameBytes > 0;
}

bool IsCode(uint8_t type) { return type == 't' || type == 'T' || type == 'w' || type == 'W'; }

// What the lines that are kept become: see `KallsymsLines` in kallsyms-text.ts.
struct Arrays {
  uint32_t* state;
  uint32_t* lows;
  uint8_t* types;
  uint8_t* names;
  uint32_t* nameEnds;
  uint32_t* runs;
};

class Taker {
 public:
  Taker(const uint8_t* text, bool codeOnly, const Arrays& arrays)
      : text_(text),
        codeOnly_(codeOnly),
        arrays_(arrays),
        last_((uint64_t{arrays.state[kLastHigh]} << 32) | arrays.state[kLastLow]) {}

  void Take(const uint8_t* begin, const uint8_t* end) {
    Line line;
    if (!ParseLine(begin, end, &line) || (codeOnly_ && !IsCode(line.type))) return;
    if (symbols_ == arrays_.state[kSymbolsRoom] || nameBytesOnly_ + line.nameBytes > arrays_.state[kNameBytesRoom]) {
      left_++;
      return;
    }
    if (line.address != 0) shown_ = 1;
    if (inOrder_ == symbols_ && line.address >= last_) inOrder_++;
    last_ = line.address;
    BeginRun(line);
    arrays_.lows[symbols_] = static_cast<uint32_t>(line.address);
    arrays_.types[symbols_] = line.type;
    memcpy(arrays_.names + nameBytes_, line.name, line.nameBytes);
    nameBytesOnly_ += line.nameBytes;
    nameBytes_ += line.nameBytes;
    arrays_.names[nameBytes_++] = '\n';
    arrays_.nameEnds[symbols_++] = nameBytes_;
  }

  uint32_t Finish(size_t consumed) {
    uint32_t* state = arrays_.state;
    state[kLastHigh] = static_cast<uint32_t>(last_ >> 32);
    state[kLastLow] = static_cast<uint32_t>(last_);
    state[kConsumed] = static_cast<uint32_t>(consumed);
    state[kLeft] = left_;
    state[kRuns] = runs_;
    state[kNameBytes] = nameBytes_;
    state[kInOrder] = inOrder_;
    state[kShown] = shown_;
    return symbols_;
  }

 private:
  // The upper half of an address and the module are those of the line before, nearly always.
  void BeginRun(const Line& line) {
    const auto high = static_cast<uint32_t>(line.address >> 32);
    const uint32_t* run = arrays_.runs + size_t{runs_ - 1} * kRunWords;
    const bool same = runs_ > 0 && run[1] == high && run[3] - run[2] == line.moduleBytes &&
                      memcmp(text_ + run[2], line.module, line.moduleBytes) == 0;
    if (same) return;
    uint32_t* begun = arrays_.runs + size_t{runs_++} * kRunWords;
    begun[0] = symbols_;
    begun[1] = high;
    begun[2] = static_cast<uint32_t>(line.module - text_);
    begun[3] = static_cast<uint32_t>(line.module - text_ + line.moduleBytes);
  }

  const uint8_t* text_;
  bool codeOnly_;
  Arrays arrays_;
  uint64_t last_;
  uint32_t symbols_ = 0;
  uint32_t runs_ = 0;
  uint32_t nameBytes_ = 0;
  uint32_t nameBytesOnly_ = 0;
  uint32_t inOrder_ = 0;
  uint32_t left_ = 0;
  uint32_t shown_ = 0;
};

// takeKallsyms(text, bytes, atEnd, codeOnly, state, lows, types, names, nameEnds, runs) → symbols. A last line without a newline is
// left for the next call, unless it is `atEnd`.
Napi::Value TakeKallsyms(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const TypedView text = ViewArgument(env, info[0], napi_uint8_array);
  const size_t bytes = Uint32Argument(info, 1);
  const bool atEnd = info[2].ToBoolean();
  const bool codeOnly = info[3].ToBoolean();
  const TypedView state = ViewArgument(env, info[4], napi_uint32_array);
  const TypedView lows = ViewArgument(env, info[5], napi_uint32_array);
  const TypedView types = ViewArgument(env, info[6], napi_uint8_array);
  const TypedView names = ViewArgument(env, info[7], napi_uint8_array);
  const TypedView nameEnds = ViewArgument(env, info[8], napi_uint32_array);
  const TypedView runs = ViewArgument(env, info[9], napi_uint32_array);
  const size_t symbolsMax = bytes / kLineBytesMin + 1;
  if (bytes > text.length || state.length < kStateWords || lows.length < symbolsMax || types.length < symbolsMax ||
      names.length < bytes + 1 || nameEnds.length < symbolsMax || runs.length < symbolsMax * kRunWords)
    throw Napi::TypeError::New(env, "arrays too small for the text");
  const auto* begin = static_cast<const uint8_t*>(text.data);
  const uint8_t* const end = begin + bytes;
  Taker taker(begin, codeOnly,
              {static_cast<uint32_t*>(state.data), static_cast<uint32_t*>(lows.data), static_cast<uint8_t*>(types.data),
               static_cast<uint8_t*>(names.data), static_cast<uint32_t*>(nameEnds.data), static_cast<uint32_t*>(runs.data)});
  const uint8_t* line = begin;
  while (line < end) {
    const auto* newline = static_cast<const uint8_t*>(memchr(line, '\n', end - line));
    if (newline == nullptr && !atEnd) break;
    taker.Take(line, newline == nullptr ? end : newline);
    line = newline == nullptr ? end : newline + 1;
  }
  return Napi::Number::New(env, taker.Finish(line - begin));
}

// hashLines(text, into) → lines: FNV-1a of each line, without its newline.
Napi::Value HashLines(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const TypedView text = ViewArgument(env, info[0], napi_uint8_array);
  const TypedView into = ViewArgument(env, info[1], napi_uint32_array);
  const auto* bytes = static_cast<const uint8_t*>(text.data);
  auto* hashes = static_cast<uint32_t*>(into.data);
  constexpr uint32_t kBasis = 0x811c9dc5;
  constexpr uint32_t kPrime = 0x01000193;
  size_t lines = 0;
  uint32_t hash = kBasis;
  for (size_t at = 0; at < text.length && lines < into.length; at++) {
    if (bytes[at] != '\n') {
      hash = (hash ^ bytes[at]) * kPrime;
      continue;
    }
    hashes[lines++] = hash;
    hash = kBasis;
  }
  return Napi::Number::New(env, static_cast<double>(lines));
}

}  // namespace

void InitKallsyms(Napi::Env env, Napi::Object exports) {
  exports["takeKallsyms"] = Napi::Function::New(env, TakeKallsyms, "takeKallsyms");
  exports["hashLines"] = Napi::Function::New(env, HashLines, "hashLines");
}
