// Where the keyboard is while something is open.

import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

/** Focuses what has opened, or the part of it that is chosen. When it closes, the focus goes back to where it was, unless the user has put it elsewhere. */
export function useFocusWhileOpen(opened: RefObject<HTMLElement | null>, choose: (opened: HTMLElement) => HTMLElement | null = (it) => it): void {
  useEffect(() => {
    const before = document.activeElement;
    if (opened.current) (choose(opened.current) ?? opened.current).focus({ preventScroll: true });
    return () => {
      const { activeElement } = document;
      if (activeElement !== document.body && activeElement?.isConnected) return;
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
}
