import { formatDecimal } from '../common/numbers.ts';
import type { SaesResult } from '../contracts/commandLine.ts';
import type { PublicSae } from '../contracts/publicSae.ts';
import { installedFile } from '../engine/installedFile.ts';
import { modelKey } from '../hub/modelKey.ts';
import { publicSaesFile, readPublicSaes } from '../hub/publicSaes.ts';
import { text } from './arguments.ts';
import type { Command } from './command.ts';

/** `loupe saes`: the index of public SAEs that comes with Loupe; asks nobody. */
export const saesCommand: Command = {
  name: 'saes',
  usage: 'saes [--model NAME] [--hook HOOK] [--release RELEASE]',
  summary: 'List public SAEs by model, hook or release, from the index that comes with Loupe',
  options: { model: { type: 'string' }, hook: { type: 'string' }, release: { type: 'string' } },

  async run({ values }): Promise<SaesResult> {
    const [model, hook, release] = ['model', 'hook', 'release'].map(name => text(values, name));
    const key = model === undefined ? undefined : modelKey(model);
    const all = await readPublicSaes(installedFile(publicSaesFile));
    return {
      saes: all.filter(
        sae =>
          (key === undefined || modelKey(sae.model) === key) &&
          (hook === undefined || sae.hook === hook) &&
          (release === undefined || sae.release === release),
      ),
    };
  },

  format(result) {
    const { saes } = result as SaesResult;
    const releases = [...new Set(saes.map(({ release }) => release))];
    const lines = releases.flatMap(release => {
      const members = saes.filter(sae => sae.release === release);
      const [first] = members;
      const head = `${release}  ${first?.model ?? ''}  ${first?.format ?? ''}  ${first?.repository ?? ''}`;
      return releases.length === 1
        ? [head, ...members.map(line)]
        : [`${head}  ${String(members.length)} SAEs`];
    });
    return lines.length === 0 ? 'The index has no such SAE.' : lines.join('\n');
  },
};

function line({ path, hook, l0, ev, features }: PublicSae): string {
  const facts = [
    features === undefined ? '' : `F ${features}`,
    l0 === undefined ? '' : `L0 ${l0}`,
    ev === undefined ? '' : `EV ${formatDecimal(ev)}`,
  ];
  return `  --folder ${path}  ${hook}  ${facts.filter(fact => fact !== '').join(', ')}`;
}
