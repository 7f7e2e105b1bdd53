/** Where a model or an SAE was found. */
export type FoundIn = 'huggingFace' | 'ollama' | 'lmStudio' | 'downloads' | 'workspace';

/** A model or an SAE on this machine's disk, as its name and place tell; nothing of it has been read yet. */
export interface FoundThing {
  readonly kind: 'model' | 'sae';
  /** For people: OWNER/NAME where a repository is known, else the name of the file or folder. */
  readonly name: string;
  /** What a setting or an option takes. */
  readonly path: string;
  readonly foundIn: FoundIn;
  readonly bytes: number;
  /** `gguf`, `safetensors`, or an SAE's layout. */
  readonly format: string;
  /** Why it cannot be used, where that is plain already. */
  readonly obstacle: string | undefined;
}
