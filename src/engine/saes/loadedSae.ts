import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import { featureCount, locateFeature, sourcesOf } from '../../common/featureSources.ts';
import type {
  DomainInfo,
  DomainRequest,
  FeatureCard,
  FeatureLabels,
  SaeInfo,
  SaeRequest,
} from '../../contracts/engine.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import { dictionaryHash } from '../../saes/dictionaryHash.ts';
import { readFeatureCards, type FeatureCards } from '../../saes/featureCards.ts';
import { readDictionary } from '../../saes/readDictionary.ts';
import { requireResidual } from '../../saes/requireResidual.ts';
import { Analysis, type AnalysisOptions } from '../analysis/analysis.ts';
import type { ModelRunner } from '../model/modelRunner.ts';
import { openSae, type ReadySae } from './readySae.ts';
import { requireModelFit } from './requireModelFit.ts';
import { mostActive, type SaeRunnerOptions } from './saeRunner.ts';

/** Most features of one residual SAE that count on one token: all of them at the paper's width. */
const maxActiveOfDomain = 1024;

/** One SAE read from disk with its feature cards, not yet ready to run. */
interface ReadSae {
  readonly dictionary: Dictionary;
  readonly hash: string;
  readonly cards: FeatureCards | undefined;
}

/** What was read of an SAE and its domains; opening it needs the memory that the one before gives back. */
export interface ReadSaes {
  readonly path: string;
  readonly base: ReadSae;
  readonly domains: readonly (DomainRequest & ReadSae)[];
  readonly refused: readonly (DomainRequest & { readonly failure: Failure })[];
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  report(step: string, fraction: number): void;
}

/** Reads the SAE and its domains; a domain that cannot be used does not take the base away: it is in `refused`. */
export async function readSaes(
  { path, domains }: SaeRequest,
  model: ModelRunner,
  options: ReadOptions,
): Promise<ReadSaes> {
  options.report('Reading the SAE', 0);
  const base = await readSae(path, model, options);
  const read: (DomainRequest & ReadSae)[] = [];
  const refused: ReadSaes['refused'][number][] = [];
  for (const [i, domain] of domains.entries()) {
    options.report(`Reading the domain ${domain.name}`, (i + 1) / (domains.length + 1));
    try {
      const fits = (residual: Dictionary) => requireResidual(residual, base.dictionary, base.hash);
      read.push({ ...domain, ...(await readSae(domain.path, model, options, fits)) });
    } catch (error) {
      throwIfCancelled(options.signal);
      refused.push({ ...domain, failure: Failure.from(error) });
    }
  }
  return { path, base, domains: read, refused };
}

async function readSae(
  path: string,
  model: ModelRunner,
  { signal }: ReadOptions,
  require?: (dictionary: Dictionary) => void,
): Promise<ReadSae> {
  const dictionary = await readDictionary(path);
  require?.(dictionary);
  requireModelFit(dictionary, model);
  throwIfCancelled(signal);
  const cards = await readFeatureCards(path, dictionary.width, model.tokenizer);
  throwIfCancelled(signal);
  return { dictionary, cards, hash: dictionaryHash(dictionary) };
}

/** An SAE and the residual SAEs of its domains, ready to analyse documents. */
export class LoadedSae {
  readonly info: SaeInfo;
  readonly analysis: Analysis;
  readonly labels: FeatureLabels;
  private readonly sae: ReadySae;
  private readonly read: ReadSaes;

  private constructor(read: ReadSaes, info: SaeInfo, sae: ReadySae, analysis: Analysis) {
    this.read = read;
    this.info = info;
    this.sae = sae;
    this.analysis = analysis;
    this.labels = joined([read.base, ...read.domains]);
  }

  static async open(
    read: ReadSaes,
    model: ModelRunner,
    options: AnalysisOptions & Omit<SaeRunnerOptions, 'maxActive'>,
  ): Promise<LoadedSae> {
    const { dictionary } = read.base;
    let first = dictionary.width;
    const domains = read.domains.map(({ name, path, hash, dictionary: residual }) => {
      const maxK = mostActive(residual, maxActiveOfDomain);
      const info: DomainInfo = { name, path, hash, features: residual.width, first };
      first += residual.width;
      return { dictionary: residual, first: info.first, maxK, info };
    });
    const sae = await openSae(dictionary, domains, options);
    const info = infoOf(
      read,
      sae.maxK,
      domains.map(domain => domain.info),
    );
    return new LoadedSae(read, info, sae, new Analysis(model, sae, options));
  }

  /** Of the weights that sessions hold. */
  get weightBytes(): number {
    return this.sae.weightBytes;
  }

  /** The cards of the base (0) or of a domain (1, 2, ...); undefined where none were made. */
  cardsOf(source: number): FeatureCards | undefined {
    return [this.read.base, ...this.read.domains][source]?.cards;
  }

  /** The card of a feature by its number among all; throws `not-found` where there is none. */
  card(feature: number): FeatureCard {
    const sources = sourcesOf(this.info);
    const located = Number.isInteger(feature) ? locateFeature(feature, sources) : undefined;
    const { name } = this.info;
    if (!located) {
      const last = featureCount(this.info) - 1;
      throw new Failure('not-found', `${name} has features 0 to ${last}, not ${feature}.`);
    }
    const { source, number } = located;
    const index = sources.indexOf(source);
    const domain = this.read.domains[index - 1];
    const card = this.cardsOf(index)?.card(number);
    if (card) return { ...card, feature };
    const [of, path] = domain ? [`the domain ${domain.name}`, domain.path] : [name, this.info.path];
    throw new Failure('not-found', `There is no card for feature ${number} of ${of}.`, {
      action: `Make the cards with \`loupe describe\` and the SAE ${path}.`,
    });
  }

  /** After every analysis has ended. */
  async dispose(): Promise<void> {
    this.analysis.dispose();
    await this.sae.dispose();
  }
}

/** What is told of an SAE and its domains. */
function infoOf(read: ReadSaes, maxK: number, domains: readonly DomainInfo[]): SaeInfo {
  const { dictionary, hash } = read.base;
  return {
    name: dictionary.name,
    path: read.path,
    hash,
    hook: dictionary.hook,
    features: dictionary.width,
    maxK,
    kind: dictionary.rule.kind,
    activationUnit: "activation in the SAE's own scale",
    domains,
    refused: read.refused.map(({ name, path, failure }) => ({
      name,
      path,
      message: `The domain ${name} cannot be used: ${failure.message}`,
    })),
  };
}

/** The labels of all features, in the order of their numbers. */
function joined(saes: readonly ReadSae[]): FeatureLabels {
  const all = saes.map(({ cards, dictionary }) => cards?.labels ?? noLabels(dictionary.width));
  return {
    density: Float32Array.from(all.flatMap(({ density }) => Array.from(density))),
    labels: all.flatMap(({ labels }) => labels),
    convention: all[0]?.convention ?? '',
  };
}

function noLabels(features: number): FeatureLabels {
  return {
    density: new Float32Array(features).fill(NaN),
    labels: Array.from({ length: features }, () => ''),
    convention: 'The features of this SAE have not been described.',
  };
}
