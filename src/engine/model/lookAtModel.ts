import type { ModelFacts } from '../../contracts/lookAt.ts';
import { readModelFiles } from './modelFiles.ts';

/** What a model's files say of it; throws what keeps Loupe from using it. No weights are read. */
export async function lookAtModel(path: string): Promise<ModelFacts> {
  const { name, config } = await readModelFiles(path);
  const { architecture, layers, width, vocabulary, contextLength } = config;
  return { name, architecture, layers, width, vocabulary, contextLength };
}
