import { Failure } from '../../common/failure.ts';
import type { Tokenizer } from '../model.ts';

/** For a model without a tokenizer: runs of token ids work, text is refused. */
export class AbsentTokenizer implements Tokenizer {
  readonly vocabulary: number;
  readonly bos = undefined;
  private readonly expected: string;

  constructor(expectedPath: string, vocabulary: number) {
    this.expected = expectedPath;
    this.vocabulary = vocabulary;
  }

  get separator(): number {
    throw this.failure();
  }

  encode(): never {
    throw this.failure();
  }

  tokenText(id: number): string {
    return `#${id}`;
  }

  decode(): never {
    throw this.failure();
  }

  private failure(): Failure {
    return new Failure('not-found', `The model has no tokenizer: there is no ${this.expected}.`, {
      action: 'Put the tokenizer.json with which the model was trained beside its weights.',
    });
  }
}
