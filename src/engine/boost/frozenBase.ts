import { Failure } from '../../common/failure.ts';
import type { TensorflowChoice } from '../../contracts/tensorflow.ts';
import type { BoostRequest } from '../../contracts/trainer.ts';
import type { Base, Dictionary } from '../../saes/dictionary.ts';
import { dictionaryHash } from '../../saes/dictionaryHash.ts';
import { requirePlain } from '../../saes/plain.ts';
import { readDictionary } from '../../saes/readDictionary.ts';
import { windowLengthOf } from '../../saes/windowLength.ts';
import { ModelRunner } from '../model/modelRunner.ts';
import { requireModelFit } from '../saes/requireModelFit.ts';
import { SaeRunner } from '../saes/saeRunner.ts';

/** The model and the frozen SAE of a training of a residual SAE, ready to run. */
export interface FrozenBase {
  readonly model: ModelRunner;
  readonly runner: SaeRunner;
  readonly base: Base;
  /** Features of the base kept per token. */
  readonly k: number;
  /** T, tokens per window that the base was trained on. */
  readonly windowLength: number;
  /** Asks that what is trained on it takes its steps in TensorFlow. */
  readonly tensorflow: TensorflowChoice | undefined;
  dispose(): Promise<void>;
}

/** Features of a base that fires by thresholds looked at per token. */
const maxActive = 1024;

export async function openFrozenBase(
  request: Pick<BoostRequest, 'model' | 'basePath' | 'baseK' | 'tensorflow'>,
  signal: AbortSignal,
  warn?: (message: string) => void,
): Promise<FrozenBase> {
  const dictionary = await readDictionary(request.basePath);
  requirePlain(dictionary, 'be the base of a residual SAE');
  const model = await ModelRunner.open(request.model, { signal, warn });
  try {
    requireModelFit(dictionary, model);
    requireK(dictionary, request.baseK);
    const { threads } = request.model;
    const runner = await SaeRunner.open(dictionary, {
      ...{ threads, maxActive },
      ...model.on.sessionOptions,
    });
    const isTopK = dictionary.rule.kind === 'topk';
    const k = isTopK ? (request.baseK ?? runner.maxK) : runner.maxK;
    return {
      model,
      runner,
      base: { name: dictionary.name, hash: dictionaryHash(dictionary), k: isTopK ? k : null },
      k,
      windowLength: windowLengthOf(dictionary, model.info.contextLength),
      tensorflow: request.tensorflow,
      dispose: async () => {
        await runner.dispose();
        await model.dispose();
      },
    };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

function requireK({ name, rule }: Dictionary, k: number | undefined): void {
  if (rule.kind !== 'topk' || k === undefined || k <= rule.maxK) return;
  throw new Failure('usage', `${name} was trained for up to ${rule.maxK} features, not ${k}.`);
}
