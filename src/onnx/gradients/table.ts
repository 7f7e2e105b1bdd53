import { elementwiseRules } from './elementwise.ts';
import { productRules } from './products.ts';
import { reductionRules } from './reductions.ts';
import type { RuleTable } from './rule.ts';
import { shapingRules } from './shaping.ts';

/** The rule of each op that can be differentiated. */
export const gradientRules: RuleTable = {
  ...elementwiseRules,
  ...productRules,
  ...reductionRules,
  ...shapingRules,
};

/** Ops whose results are integers or booleans, or do not change with the values of their inputs. */
export const constantOps: ReadonlySet<string> = new Set([
  'And',
  'ArgMax',
  'ArgMin',
  'ConstantOfShape',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'NonZero',
  'Not',
  'OneHot',
  'Or',
  'Range',
  'Shape',
  'Size',
]);

/** Of an op's outputs, those that carry no gradient although others do. */
export const constantOutputs: Readonly<Partial<Record<string, readonly number[]>>> = { TopK: [1] };
