import { join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { TorchFile } from '../weights/torchFile.ts';
import type { Dictionary } from './dictionary.ts';
import { readDictionaryLearning } from './formats/dictionaryLearning.ts';
import { isGemmaScope, readGemmaScope } from './formats/gemmaScope.ts';
import { isGemmaScope2, readGemmaScope2 } from './formats/gemmaScope2.ts';
import { isLlamaScope, readLlamaScope } from './formats/llamaScope.ts';
import { isLlamascopium, readLlamascopium } from './formats/llamascopium.ts';
import { isOpenAi, readOpenAi } from './formats/openai.ts';
import { openPlace, type SaePlace } from './formats/place.ts';
import { isQwenScope, readQwenScope } from './formats/qwenScope.ts';
import { isSaeLens, readSaeLensAt } from './formats/saelens.ts';
import { isSparsify, readSparsify } from './formats/sparsify.ts';
import { requireFinite } from './formats/tensors.ts';

/** The SAE at `path`: the folder of one in any of the formats of docs/formats.md, or one of the files in it. */
export async function readDictionary(path: string): Promise<Dictionary> {
  const place = await openPlace(path);
  const dictionary = await readAt(place);
  requireFiniteNumbers(dictionary, place.path);
  return dictionary;
}

async function readAt(place: SaePlace): Promise<Dictionary> {
  if (isTorch(place.file)) return await readTorch(place, join(place.folder, place.file));
  if (isGemmaScope(place)) return await readGemmaScope(place);
  if (isSparsify(place)) return await readSparsify(place);
  if (isSaeLens(place)) return await readSaeLensAt(place);
  if (await isLlamaScope(place)) return await readLlamaScope(place);
  if (isLlamascopium(place)) return await readLlamascopium(place);
  if (isGemmaScope2(place)) return await readGemmaScope2(place);
  const torch = [...place.names].filter(isTorch);
  const only = torch.includes('ae.pt') ? 'ae.pt' : torch.length === 1 ? torch[0] : undefined;
  if (only !== undefined) return await readTorch(place, join(place.folder, only));
  const several = torch.length > 1 ? ` It has ${torch.length} .pt files: choose one.` : '';
  throw new Failure('not-found', `There is no SAE that Loupe knows at ${place.path}.${several}`, {
    action:
      'Choose a folder with cfg.json and sae_weights.safetensors (SAELens) or sae.safetensors (sparsify), config.json or hyperparams.json (OpenMOSS, Gemma Scope 2, dictionary_learning), or a file .npz or .pt.',
  });
}

/** Scales and logarithms that are finite in the files may not be so in the weights that they are folded into. */
function requireFiniteNumbers(dictionary: Dictionary, path: string): void {
  const { encoder, encoderBias, decoder, decoderBias, rule, skip } = dictionary;
  const threshold = rule.kind === 'jumprelu' ? rule.threshold : undefined;
  const all = { encoder, encoderBias, decoder, decoderBias, threshold, skip };
  for (const [name, values] of Object.entries(all)) {
    if (values) requireFinite(values, name, path);
  }
}

function isTorch(file: string | undefined): file is string {
  return file !== undefined && /\.(pt|pth)$/.test(file);
}

/** State dicts are told apart by their tensors. */
async function readTorch(place: SaePlace, path: string): Promise<Dictionary> {
  const file = await TorchFile.open(path);
  const at: SaePlace = { ...place, path };
  if (isOpenAi(file)) return await readOpenAi(at, file);
  if (isQwenScope(file)) return await readQwenScope(at, file);
  return await readDictionaryLearning(at, file);
}
