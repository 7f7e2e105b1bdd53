import { basename } from 'node:path';
import type { Domains } from './domains.ts';
import type { Session } from '../session.ts';

/** What a training does with the domains of its workspace: it finds them anew, and switches the one that it trained. */
export function domainSwitches(domains: Domains, session: Session) {
  return {
    refresh: (): Promise<void> => domains.refresh(),
    /** By the name of its folder in the workspace's storage. */
    turn: async (name: string, on: boolean): Promise<void> => {
      const known = await domains.list();
      const isTrained = known.find(
        ({ path, origin }) => origin === 'workspace' && basename(path) === name,
      );
      if (isTrained) session.setDomain(isTrained.path, on);
    },
    /** Folders of the residual SAEs that are on. */
    foldersOn: (): readonly string[] => session.domainsOn.map(({ path }) => path),
  };
}
