import { element } from '../shared/dom.ts';
import type { Control } from '../shared/controls.ts';

/** A few choices side by side, of which one holds. */
export function createRadios<T extends string>(
  label: string,
  options: readonly [
    { readonly value: T; readonly label: string },
    ...{ readonly value: T; readonly label: string }[],
  ],
  onChange: (value: T) => void,
): Control<T> {
  let chosen = options[0].value;
  const inputs = options.map(({ value }) => {
    const input = element('input', { attributes: { type: 'radio', name: label, value } });
    input.checked = value === chosen;
    input.addEventListener('change', () => {
      chosen = value;
      onChange(value);
    });
    return input;
  });
  const labels = options.map(({ label: text }, i) =>
    element('label', {}, ...(inputs[i] ? [inputs[i]] : []), element('span', {}, text)),
  );
  return {
    element: element(
      'div',
      { class: 'radios', attributes: { role: 'radiogroup', 'aria-label': label } },
      ...labels,
    ),
    get value() {
      return chosen;
    },
    set value(value) {
      chosen = value;
      inputs.forEach(input => (input.checked = input.value === value));
    },
  };
}
