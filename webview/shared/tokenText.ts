import { visibleText } from '../../src/common/visibleText.ts';
import { element } from './dom.ts';

/**
 * A token as nodes: real spaces that a style sheet can mark, signs for line ends and tabs, escapes for characters that
 * do not show or would turn the direction of the text.
 */
export function tokenText(text: string): readonly Node[] {
  const nodes: Node[] = [];
  let plain = '';
  const flush = (): void => {
    if (plain !== '') nodes.push(document.createTextNode(plain));
    plain = '';
  };
  for (const character of text) {
    const sign = visibleText(character);
    if (character !== ' ' && sign === character) {
      plain += character;
      continue;
    }
    flush();
    nodes.push(
      character === ' '
        ? element('span', { class: 'space' }, ' ')
        : element('span', { class: sign.length === 1 ? 'sign' : 'escape' }, sign),
    );
  }
  flush();
  return nodes;
}
