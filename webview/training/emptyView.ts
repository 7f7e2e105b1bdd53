import { button } from '../shared/controls.ts';
import { element } from '../shared/dom.ts';

/** What the panel says before anything was trained. */
export function createEmptyView(train: () => void): HTMLElement {
  const steps = [
    'Choose a name for the domain; the folder’s name is proposed.',
    'See how much text there is and how long it takes, before anything is trained.',
    'Watch it learn here, or go on working: it runs on this machine, in a process of its own.',
    'Read the report: what changed on your text, and on general text.',
  ];
  return element(
    'section',
    { class: 'empty' },
    element('h1', {}, 'Teach the SAE your domain'),
    element(
      'p',
      {},
      'A residual SAE learns from the files of this workspace what the base SAE leaves out, and adds features for it. The base stays as it is.',
    ),
    element('ol', { class: 'steps' }, ...steps.map(step => element('li', {}, step))),
    element('div', { class: 'commands' }, button('Train Residual SAE on Workspace', train)),
  );
}
