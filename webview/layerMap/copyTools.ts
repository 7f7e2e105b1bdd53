import type { LayerMapHost } from '../../src/contracts/layerMapPanel.ts';
import type { Caller } from '../../src/messages/calls.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import type { Copies } from './page.ts';
import { png, svgText } from './heatMap/picture.ts';
import { readScene } from './heatMap/scene.ts';

/** Buttons that copy the figure on show. */
export interface CopyTools {
  readonly element: HTMLElement;
  update(copies: Copies | null): void;
}

export function createCopyTools(host: Caller<LayerMapHost>): CopyTools {
  let copies: Copies | null = null;
  const outcome = element('span', { class: 'dim', attributes: { role: 'status' } });
  const copy = async (form: string, act: (copied: Copies) => Promise<string>): Promise<void> => {
    if (!copies) return;
    try {
      setText(outcome, `${form} ${await act(copies)}`);
    } catch (error) {
      setText(outcome, error instanceof Error ? error.message : String(error));
    }
  };
  const text = async (content: string): Promise<string> => {
    try {
      await navigator.clipboard.writeText(content);
    } catch {
      // The page may not: the host may.
      await host.call('copyText', { text: content });
    }
    return 'copied';
  };
  const image = async ({ name, figure }: Copies): Promise<string> => {
    const blob = await png(readScene(figure));
    try {
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
      return 'copied';
    } catch {
      // VS Code's own clipboard holds text only: a file then.
      await host.call('saveImage', {
        name: `${name}.png`,
        png: new Uint8Array(await blob.arrayBuffer()),
      });
      return 'saved';
    }
  };
  const whole = element(
    'div',
    { class: 'copyTools', attributes: { role: 'group', 'aria-label': 'Copy the figure' } },
    outcome,
    button('Copy PNG', () => void copy('PNG', image), 'secondary'),
    button(
      'Copy SVG',
      () => void copy('SVG', c => text(svgText(readScene(c.figure)))),
      'secondary',
    ),
    button('Copy CSV', () => void copy('CSV', c => text(c.csv())), 'secondary'),
  );
  return {
    element: whole,
    update: next => {
      if (copies?.name !== next?.name) setText(outcome, '');
      copies = next;
      whole.hidden = next === null;
    },
  };
}
