import type { HubFile, HubFiles } from './repository.ts';
import { offer, type Offer } from './modelFiles.ts';

/** How the files of one SAE lie, format by format (peersAndFormats, section 3). */
export interface SaeLayout {
  readonly format: string;
  /** The files that say that a folder is such an SAE, lowest first; all are needed. */
  readonly needs: readonly string[];
  /** Read too, where they are there. */
  readonly also: readonly string[];
}

/** The layouts of folders; those with more to them come first. */
const saeLayouts: readonly SaeLayout[] = [
  {
    format: 'saelens',
    needs: ['sae_weights.safetensors', 'cfg.json'],
    also: ['sparsity.safetensors', 'features.safetensors', 'activation_scaler.json'],
  },
  { format: 'sparsify', needs: ['sae.safetensors', 'cfg.json'], also: [] },
  { format: 'gemma-scope', needs: ['params.npz'], also: [] },
  { format: 'gemma-scope-2', needs: ['params.safetensors', 'config.json'], also: [] },
  { format: 'dictionary-learning', needs: ['ae.pt', 'config.json'], also: ['eval_results.json'] },
  {
    format: 'llama-scope',
    needs: ['checkpoints/final.safetensors', 'hyperparams.json'],
    also: ['lm_config.json'],
  },
  {
    format: 'llamascopium',
    needs: ['sae_weights.safetensors', 'config.json'],
    also: ['lm_config.json'],
  },
];

/** Single files that are SAEs by their name: Qwen Scope's `layer12.sae.pt`. */
export const saeFile = /(^|\/)layer\d+\.sae\.pt$/;

/** The SAEs of a repository, each by its folder ('' at the root) or file. */
export function saeOffers({ files }: HubFiles): readonly Offer[] {
  const byPath = new Map(files.map(file => [file.path, file]));
  const offers = new Map<string, Offer>();
  for (const layout of saeLayouts) {
    const [first = ''] = layout.needs;
    for (const { path } of files) {
      if (path !== first && !path.endsWith(`/${first}`)) continue;
      const folder = path.slice(0, -first.length).replace(/\/$/, '');
      const at = (name: string): HubFile | undefined =>
        byPath.get(folder === '' ? name : `${folder}/${name}`);
      const needed = layout.needs.map(at);
      if (offers.has(folder) || needed.includes(undefined)) continue;
      const all = [...needed, ...layout.also.map(at)].filter(file => file !== undefined);
      offers.set(folder, offer('sae', folder, all, folder === '' ? '.' : folder));
    }
  }
  for (const file of files) {
    if (saeFile.test(file.path)) offers.set(file.path, offer('sae', file.path, [file], file.path));
  }
  return [...offers.values()];
}

/** Whether a folder with these files, relative to it, is an SAE, and of which layout. */
export function layoutOf(has: (name: string) => boolean): SaeLayout | undefined {
  return saeLayouts.find(({ needs }) => needs.every(has));
}
