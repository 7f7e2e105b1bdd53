/** A model's name without what differs between its copies: owner, quantisation, case, and file endings. */
export function modelKey(name: string): string {
  const base = name.slice(name.lastIndexOf('/') + 1).toLowerCase();
  const plain = base
    .replace(/\.(gguf|safetensors)$/, '')
    .replace(/[.-](i?q\d\w*|f16|f32|bf16|fp16)$/i, '')
    .replace(/[-_:.](gguf|hf|latest)$/, '')
    .replace(/^meta-/, '')
    .replace(/[_:]/g, '-');
  return aliases.get(plain) ?? plain;
}

/** TransformerLens' own names for models that the Hub calls otherwise. */
const aliases = new Map([
  ['gpt2', 'gpt2-small'],
  ['openai-gpt', 'gpt1'],
  ['mistral-7b-v0.1', 'mistral-7b'],
]);
