import { outputWidthOf, type Dictionary } from '../../saes/dictionary.ts';
import { gramOf } from '../../saes/reconstruct.ts';
import { here } from '../sessions/activations.ts';
import type { Residual } from '../../saes/residualsGraph.ts';
import { cellStatistics } from '../analysis/cellStatistics.ts';
import type { ReadySae } from './readySae.ts';
import type { ReadRequest, SaeReading } from './saeReading.ts';
import { SaeRunner, type SaeRunnerOptions } from './saeRunner.ts';

/** A domain's residual SAE, ready to run; `first` is the number of its feature 0 among all features. */
export interface DomainRunner {
  readonly first: number;
  readonly runner: SaeRunner;
}

/**
 * A frozen base and the residual SAEs of domains, which read the same x: SAE Boost (arXiv 2507.12990, section 3) sums
 * xhat and the ehat of the domains that are on. Which are on is decided by whoever reads the results.
 */
export class BoostedSae implements ReadySae {
  private readonly base: SaeRunner;
  private readonly domains: readonly DomainRunner[];

  constructor(base: SaeRunner, domains: readonly DomainRunner[] = []) {
    this.base = base;
    this.domains = domains;
  }

  static async open(
    dictionary: Dictionary,
    residuals: readonly Residual[],
    options: SaeRunnerOptions,
  ): Promise<BoostedSae> {
    const base = await SaeRunner.open(dictionary, options);
    const domains: DomainRunner[] = [];
    const sae = new BoostedSae(base, domains);
    try {
      for (const { dictionary: residual, first, maxK } of residuals) {
        const runner = await SaeRunner.open(residual, { ...options, maxActive: maxK });
        domains.push({ first, runner });
      }
    } catch (error) {
      // As where memory is too small for them all: what is open would be held for good.
      await sae.dispose();
      throw error;
    }
    return sae;
  }

  get dictionary(): Dictionary {
    return this.base.dictionary;
  }

  get maxK(): number {
    return this.base.maxK;
  }

  /** Of the encoders, which sessions hold; decoders are read where the SAEs are. */
  get weightBytes(): number {
    const all = [this.base, ...this.domains.map(({ runner }) => runner)];
    return all.reduce((sum, { dictionary }) => sum + dictionary.encoder.byteLength, 0);
  }

  /** Every row of x (t, D) by the base and by every domain; errors are of the target (t, O). */
  async read({ from, startsWindow, ...block }: ReadRequest): Promise<SaeReading> {
    const x = here(block.x).subarray(from * this.dictionary.inputWidth);
    const target = here(block.target).subarray(from * outputWidthOf(this.dictionary));
    const encoding = await this.base.encode(x);
    const encoded = [];
    for (const { runner, first } of this.domains) {
      const own = await runner.encode(x);
      const features = own.features.map(feature => first + feature);
      encoded.push({ ...own, features, ehat: runner.reconstruct(own, own.k) }); // ehat (T, D)
    }
    const residuals = encoded.map(({ ehat }) => ehat);
    const { squaredError, products } = this.base.prefixErrors(target, encoding, residuals);
    return {
      ...encoding,
      squaredError,
      domains: encoded.map(({ k, features, activations }, i) => ({
        k,
        features,
        activations,
        products: products[i] ?? new Float32Array(),
      })),
      gram: gramOf(residuals, this.dictionary.inputWidth),
      cells: cellStatistics(this.dictionary, x, target, startsWindow),
    };
  }

  async dispose(): Promise<void> {
    for (const { runner } of [{ runner: this.base }, ...this.domains]) await runner.dispose();
  }
}
