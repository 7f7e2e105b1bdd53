import * as vscode from 'vscode';
import { domainNameFrom, domainNameProblem } from '../../common/domainName.ts';
import { sameName } from './trainingActions.ts';

/** Asks for the name of what is to be learnt, and says where there is one of it; undefined where the user cancels. */
export async function chooseTrainingName({
  title,
  prompt,
  folder,
  taken,
  isTaken,
}: {
  readonly title: string;
  readonly prompt: string;
  /** The name of the first folder: what is proposed. */
  readonly folder: string;
  readonly taken: readonly string[];
  /** One sentence, for a name that is taken. */
  readonly isTaken: string;
}): Promise<string | undefined> {
  const { Info } = vscode.InputBoxValidationSeverity;
  const name = await vscode.window.showInputBox({
    title,
    prompt,
    value: domainNameFrom(folder),
    validateInput: text => {
      const problem = domainNameProblem(text.trim());
      if (problem !== undefined) return problem;
      const isSame = taken.some(other => sameName(other, text.trim()));
      return isSame ? { message: isTaken, severity: Info } : '';
    },
  });
  return name?.trim();
}
