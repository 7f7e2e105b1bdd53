import type { SidebarCommand, SidebarState } from '../../src/contracts/panels.ts';
import { button } from '../shared/controls.ts';
import { element } from '../shared/dom.ts';

const commands: Readonly<Record<SidebarCommand, string>> = {
  analyzeDocument: 'Analyze Document',
  restartEngine: 'Restart Engine',
  showLog: 'Show Log',
  chooseModel: 'Choose Model…',
  chooseSae: 'Choose SAE…',
  addDomain: 'Add Residual SAE…',
  removeDomain: 'Remove Domain…',
  trainResidual: 'Train Residual SAE on Workspace',
};

/** What the side bar says when there is no analysis to show, and what to do about it. */
export function createNotice(
  state: Extract<SidebarState, { kind: 'empty' | 'failed' }>,
  run: (command: SidebarCommand) => void,
): HTMLElement {
  if (state.kind === 'failed') {
    const texts = [
      element('p', { class: 'failure', attributes: { role: 'alert' } }, state.message),
    ];
    if (state.action !== null) texts.push(element('p', {}, state.action));
    return notice(texts, state.commands, run);
  }
  return notice(
    emptyTexts[state.reason].map(text => element('p', {}, text)),
    ['analyzeDocument'],
    run,
  );
}

const emptyTexts = {
  noDocument: [
    'Open a text, code or Markdown file to see which features fire on its tokens.',
    'Nothing leaves this machine: the model and the SAE run here.',
  ],
  notAnalyzed: [
    'This document has not been analyzed.',
    'Loupe runs the language model over it and shows which features of the SAE fire on each token.',
  ],
} as const;

function notice(
  texts: readonly HTMLElement[],
  offered: readonly SidebarCommand[],
  run: (command: SidebarCommand) => void,
): HTMLElement {
  const buttons = offered.map((command, i) =>
    button(commands[command], () => run(command), i === 0 ? 'primary' : 'secondary'),
  );
  return element(
    'div',
    { class: 'notice' },
    ...texts,
    element('div', { class: 'commands' }, ...buttons),
  );
}
