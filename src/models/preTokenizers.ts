/** How a byte-level vocabulary splits text into words before merging: the JSON of a tokenizer.json. */
export interface PreTokenizer {
  readonly json: object;
  /** Whether a word that is a token stays one, whatever the merges say. */
  readonly ignoreMerges: boolean;
}

const gpt2Words = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true };
const bytesOnly = { ...gpt2Words, use_regex: false };

function sequence(...pretokenizers: readonly object[]): object {
  return { type: 'Sequence', pretokenizers };
}

function split(pattern: string): object {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

/** Source: llama.cpp, llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_LLAMA3; equal to Llama 3's tokenizer.json. */
const llama3Words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/**
 * By the name in `tokenizer.ggml.pre`. SmolLM's own tokenizer.json has Digits(individual_digits), which in the
 * tokenizers library means every character of Unicode's category N.
 */
export const preTokenizers: ReadonlyMap<string, PreTokenizer> = new Map([
  ['gpt-2', { json: gpt2Words, ignoreMerges: false }],
  ['smollm', { json: sequence(split('\\p{N}'), gpt2Words), ignoreMerges: false }],
  ['llama-bpe', { json: sequence(split(llama3Words), bytesOnly), ignoreMerges: true }],
]);
