import { resolve } from 'node:path';
import { formatFigure } from '../common/numbers.ts';
import type { ExportResult } from '../contracts/commandLine.ts';
import { exportFormats, exportSae } from '../engine/saes/exportSae.ts';
import {
  integer,
  modelRequest,
  requiredText,
  saeOptions,
  saePath,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command } from './command.ts';

/** `loupe export`: an SAE for other tools, alone or stitched with residual SAEs. */
export const exportCommand: Command = {
  name: 'export',
  usage:
    'export --sae S [--stitch R]... [--k N] [--text PATH]... --format saelens|sparsify --out DIR',
  summary: 'Write an SAE, or a base and its residual SAEs as one, for other tools',
  options: {
    ...saeOptions,
    stitch: { type: 'string', multiple: true },
    k: { type: 'string' },
    text: { type: 'string', multiple: true },
    format: { type: 'string' },
    out: { type: 'string' },
  },

  async run({ values, signal, ...input }): Promise<ExportResult> {
    const asked = text(values, 'format') ?? 'saelens';
    const format = exportFormats.find(name => name === asked);
    if (!format) throw usage(`--format is saelens or sparsify, not '${asked}'.`);
    return await exportSae(
      {
        model: modelRequest(values),
        saePath: saePath(values),
        stitched: texts(values, 'stitch').map(path => resolve(path)),
        k: integer(values, 'k', { min: 1, max: 4096 }),
        textPaths: texts(values, 'text').map(path => resolve(path)),
        folder: resolve(requiredText(values, 'out')),
        format,
      },
      { signal, log: line => input.log(line) },
    );
  },

  format(result) {
    const { folder, features, rule, calibrated } = result as ExportResult;
    const head = `${folder}: ${features} features, ${rule}`;
    if (!calibrated) return `${head}, exact`;
    const { k, threshold, tokens, topK, jumprelu } = calibrated;
    const figures = ({ ev, ce, l0 }: typeof topK): string =>
      `EV ${ev.toFixed(4)}, CE ${ce.toFixed(4)}, L0 ${l0.toFixed(1)}`;
    return [
      head,
      `Not exact: the base keeps its ${k} strongest features, the export those above ${formatFigure(threshold, 4)}.`,
      `On ${tokens} tokens: top-k sum ${figures(topK)}; export ${figures(jumprelu)}.`,
    ].join('\n');
  },
};
