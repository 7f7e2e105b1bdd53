import { gpt2Words } from './preTokenizers.ts';

/** How a byte-level vocabulary of a GGUF file splits text into words: what `tokenizer.ggml.pre` stands for. */
export interface GgufPreTokenizer {
  /** In the form of a tokenizer.json. */
  readonly json: object;
  readonly normalizer?: object;
  /** Whether a word that is a token stays one, whatever the merges say. */
  readonly ignoreMerges?: boolean;
  /** Whether a text begins with BOS where the file does not say. */
  readonly addBos?: boolean;
}

const bytesOnly = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };

function splits(...patterns: readonly string[]): object {
  const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
  return { type: 'Sequence', pretokenizers: [...patterns.map(split), bytesOnly] };
}

const nfc = { type: 'NFC' };
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const lines = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const letters = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const signs = ' ?[^\\s\\p{L}\\p{N}]+';
const [upper, lower] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'];
const cased = (end: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${end}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${end}`;

const llama3Words = `${contractions}|${letters}|\\p{N}{1,3}|${signs}[\\r\\n]*|${lines}`;
const qwen2Words = `${contractions}|${letters}|\\p{N}|${signs}[\\r\\n]*|${lines}`;
const qwen35Words = `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${lines}`;
const tekkenWords = `${cased('')}|\\p{N}|${signs}[\\r\\n/]*|${lines}`;
const gpt4oWords = `${cased(`${contractions}?`)}|\\p{N}{1,3}|${signs}[\\r\\n/]*|${lines}`;
const deepseek3Words =
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|' +
  lines;
const deepseekLetters =
  '\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+';

const gpt2 = { json: splits(gpt2Words) };
/** SmolLM's own tokenizer.json has Digits(individual_digits), which means every character of Unicode's category N. */
const digitsApart = { json: splits('\\p{N}', gpt2Words) };
const gptNeoX = { json: splits(gpt2Words), normalizer: nfc };
const llama3 = { json: splits(llama3Words), ignoreMerges: true, addBos: true };
const cl100k = { json: splits(llama3Words) };
const qwen2 = { json: splits(qwen2Words), normalizer: nfc };

/**
 * By the name in `tokenizer.ggml.pre`: the splitting of the models' own tokenizer.json files, of which llama.cpp,
 * llama-vocab.cpp, has adaptations under these names. Qwen, GPT-NeoX and StableLM 2 also normalise text, which
 * llama.cpp leaves out.
 */
export const ggufPreTokenizers: ReadonlyMap<string, GgufPreTokenizer> = new Map<string, GgufPreTokenizer>([
  ['default', { json: splits('[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2Words, '\\p{N}+', '[0-9][0-9][0-9]') }],
  ...named(gpt2, 'gpt-2', 'phi-2', 'jais', 'gigachat', 'a.x-4.0', 'mellum', 'exaone4', 'trillion', 'granite-docling'),
  ...named(digitsApart, 'smollm', 'starcoder', 'refact', 'codeshell', 'exaone', 'minerva-7b'),
  ...named(gptNeoX, 'gpt-neox', 'olmo', 'mpt'),
  ...named(llama3, 'llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'lfm2', 'midm-2.0'),
  ...named(cl100k, 'dbrx', 'smaug-bpe', 'glm4', 'chatglm-bpe'),
  ...named(qwen2, 'qwen2', 'deepseek-r1-qwen', 'megrez', 'stablelm2'),
  ['qwen35', { json: splits(qwen35Words), normalizer: nfc }],
  ['tekken', { json: splits(tekkenWords), ignoreMerges: true, addBos: true }],
  ...named({ json: splits(gpt4oWords) }, 'gpt-4o', 'llama4'),
  [
    'deepseek-llm',
    {
      json: splits('[\\r\\n]', deepseekLetters, '\\s?[!-/:-~！-／：-～‘-‟　-。]+', '\\s+$', '[一-龥ࠀ-一가-퟿]+', '\\p{N}'),
    },
  ],
  ['deepseek-coder', { json: splits('[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+', '\\p{N}') }],
  ['deepseek-v3', { json: splits('\\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+', deepseek3Words) }],
]);

function named(pre: GgufPreTokenizer, ...names: readonly string[]): [string, GgufPreTokenizer][] {
  return names.map(name => [name, pre]);
}
