import { formatCount, formatDecimal } from '../../common/numbers.ts';
import type { PublicSae } from '../../contracts/publicSae.ts';
import { pickFrom } from './pickList.ts';

/** Lets the user pick one of the public SAEs, grouped by release. */
export async function choosePublicSae(saes: readonly PublicSae[]): Promise<PublicSae | undefined> {
  const releases = [...new Set(saes.map(({ release }) => release))];
  return await pickFrom<PublicSae>({
    title: 'Loupe: Download a Public SAE',
    placeholder: 'By hook, width or release',
    fill: list => {
      list.show(
        releases.map(release => ({
          title: release,
          lines: saes
            .filter(sae => sae.release === release)
            .map(sae => ({
              label: sae.id,
              description: factsText(sae),
              detail: `${sae.repository}/${sae.path}`,
              value: sae,
            })),
        })),
      );
      return Promise.resolve();
    },
  });
}

function factsText({ hook, features, l0, ev, format, transcoder }: PublicSae): string {
  const facts = [
    hook,
    features === undefined ? '' : `${formatCount(features)} features`,
    l0 === undefined ? '' : `L0 ${l0}`,
    ev === undefined ? '' : `EV ${formatDecimal(ev)}`,
    transcoder ? 'transcoder' : '',
    format,
  ];
  return facts.filter(fact => fact !== '').join(' · ');
}
