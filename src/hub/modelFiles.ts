import { Failure } from '../common/failure.ts';
import type { HubFile, HubFiles } from './repository.ts';

/** Something of a repository that can be downloaded by itself, and what there is to read of it. */
export interface Offer {
  readonly kind: 'model' | 'sae';
  /** What a list shows, and what `loupe download --file` or `--folder` names: '' for the whole repository. */
  readonly name: string;
  readonly files: readonly HubFile[];
  readonly bytes: number;
  /** Relative to the repository's folder: what to open once it is here. */
  readonly open: string;
  /** Why Loupe could not read it, where its name says so already. */
  readonly obstacle: string | undefined;
}

/** What a model's folder needs besides its weights, as transformers names it. */
const companions = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'model.safetensors.index.json',
]);

/** `-00001-of-00003.gguf`: llama.cpp's way to split a file. */
export const splitGguf = /-(\d{5})-of-(\d{5})\.gguf$/i;

/** The models of a repository: each GGUF file, and the folder of transformers' layout at its root. */
export function modelOffers({ files }: HubFiles): readonly Offer[] {
  const offers: Offer[] = [];
  const isTop = ({ path }: HubFile): boolean => !path.includes('/');
  const weights = files.filter(file => isTop(file) && /\.safetensors$/i.test(file.path));
  const config = files.find(({ path }) => path === 'config.json');
  if (config && weights.length > 0) {
    const wanted = [
      ...files.filter(({ path }) => companions.has(path)),
      ...preferredWeights(weights),
    ];
    offers.push(offer('model', '', wanted, '.'));
  }
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || /(^|\/)mmproj/i.test(file.path)) continue;
    offers.push(
      offer(
        'model',
        file.path,
        [file],
        file.path,
        splitGguf.test(file.path) ? splitReason : undefined,
      ),
    );
  }
  return offers;
}

export const splitReason = 'It is split into several files, which Loupe does not read.';

/** Some repositories hold the same weights twice: `consolidated.safetensors` beside the shards. */
function preferredWeights(weights: readonly HubFile[]): readonly HubFile[] {
  const named = weights.filter(({ path }) =>
    /^(model|pytorch_model)([.-].*)?\.safetensors$/i.test(path),
  );
  return named.length > 0 ? named : weights;
}

export function offer(
  kind: Offer['kind'],
  name: string,
  files: readonly HubFile[],
  open: string,
  obstacle?: string,
): Offer {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return { kind, name, files, bytes, open, obstacle };
}

/** The offer of that name; where none is named the whole repository, or the only one. Throws `not-found` or `usage` with what there is. */
export function findOffer(offers: readonly Offer[], id: string, name?: string): Offer {
  const named = name?.replace(/\/+$/, '');
  const found = named === undefined ? undefined : offers.find(offer => offer.name === named);
  if (found) return found;
  const whole = offers.find(offer => offer.name === '');
  if (named === undefined && whole) return whole;
  const [only, ...more] = offers;
  if (named === undefined && only && more.length === 0) return only;
  const names = offers.map(offer => offer.name || '(the whole repository)');
  const listed = `${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`;
  if (!only) {
    throw new Failure('not-found', `${id} has nothing that Loupe can read.`, {
      action: 'Loupe reads GGUF files, folders with config.json and *.safetensors, and SAEs.',
    });
  }
  throw named === undefined
    ? new Failure('usage', `${id} has several: ${listed}.`, {
        action: 'Name one with --file or --folder.',
      })
    : new Failure('not-found', `${id} has no ${named}; it has ${listed}.`);
}
