import { element, setVariable } from './dom.ts';

/** A labelled range with a number field beside it; both show one whole number from 1 to max. */
export interface Slider {
  readonly element: HTMLElement;
  /** True while the pointer holds the thumb: what the host says then is older than what the user does. */
  readonly held: boolean;
  readonly value: number;
  update(value: number, max: number): void;
}

export interface SliderOptions {
  readonly id: string;
  readonly label: string;
  readonly explanation: string;
  /** Called for every new value, live while dragging. */
  readonly onInput: (value: number) => void;
}

export function createSlider({ id, label, explanation, onInput }: SliderOptions): Slider {
  const range = element('input', {
    class: 'slider',
    title: explanation,
    attributes: { id, type: 'range', min: '1', step: '1', 'aria-describedby': `${id}-explanation` },
  });
  const number = element('input', {
    class: 'numberField',
    attributes: { type: 'number', min: '1', step: '1', 'aria-label': label },
  });
  let held = false;
  let value = 1;
  const draw = (): void => {
    const max = Number(range.max);
    range.value = value.toString();
    if (document.activeElement !== number) number.value = value.toString();
    setVariable(range, '--fill', `${max > 1 ? (100 * (value - 1)) / (max - 1) : 0}%`);
  };
  const take = (wanted: number): void => {
    const next = Math.max(1, Math.min(Number(range.max), Math.round(wanted)));
    if (Number.isNaN(next) || next === value) return;
    value = next;
    draw();
    onInput(value);
  };
  range.addEventListener('input', () => take(range.valueAsNumber));
  range.addEventListener('pointerdown', () => (held = true));
  for (const end of ['pointerup', 'pointercancel', 'blur']) {
    range.addEventListener(end, () => (held = false));
  }
  number.addEventListener('change', () => {
    take(number.valueAsNumber);
    number.value = value.toString();
  });
  number.addEventListener('blur', draw);
  const head = element(
    'div',
    { class: 'sliderHead' },
    element('label', { attributes: { for: id } }, label),
    number,
  );
  const told = element(
    'span',
    { class: 'unseen', attributes: { id: `${id}-explanation` } },
    explanation,
  );
  return {
    element: element('div', { class: 'sliderBox' }, head, range, told),
    get held() {
      return held;
    },
    get value() {
      return value;
    },
    update: (next, max) => {
      range.max = max.toString();
      number.max = max.toString();
      value = next;
      draw();
    },
  };
}
