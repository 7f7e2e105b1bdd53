import type { ConfigFields } from '../configFields.ts';
import type { GgufFields } from '../ggufFields.ts';
import type { ModelConfig } from '../model.ts';
import type { ExpectedTensor } from '../weightPlan.ts';

/** How one family of models is stored: in transformers' folders, and in GGUF files. */
export interface Architecture {
  /** For people. */
  readonly label: string;
  readonly folder: FolderArchitecture;
  readonly gguf: GgufArchitecture;
}

export interface FolderArchitecture {
  /** `model_type` of config.json. */
  readonly types: readonly string[];
  /** What config.json says. */
  config(fields: ConfigFields, name: string): ModelConfig;
  /** In transformers' names, less a `prefix` that all of them may have. */
  tensors(config: ModelConfig, has: (tensor: string) => boolean): readonly ExpectedTensor[];
  /** What may be left from the names of all tensors. */
  readonly prefix?: string;
  /** Tensors that may be there and are not read: masks, which the configuration says too, and what sees pictures. */
  readonly ignored?: RegExp;
}

export interface GgufArchitecture {
  /** `general.architecture` of the metadata. */
  readonly type: string;
  /** Tensors that may be there and are not read. */
  readonly ignored?: RegExp;
  config(fields: GgufFields): ModelConfig;
  tensors(config: ModelConfig, has: (tensor: string) => boolean): readonly ExpectedTensor[];
}
