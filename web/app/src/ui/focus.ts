// Where the keyboard is while something is open, and after it has gone: never nowhere.

import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";

/** Id of the button of the menu, from which most things are opened. */
export const moreButton = "more";

/** Whether the focus is within an element, or nowhere. */
export const hasFocus = (element: HTMLElement | null): boolean => document.activeElement === document.body || element?.contains(document.activeElement) === true;

/** Focuses what has opened, or the part of it that is chosen. When it closes, the focus goes back to where it was, unless the user has put it elsewhere. */
export function useFocusWhileOpen(opened: RefObject<HTMLElement | null>, choose: (opened: HTMLElement) => HTMLElement | null = (it) => it): void {
  useLayoutEffect(() => {
    const it = opened.current;
    const before = document.activeElement;
    if (it) focus(choose(it) ?? it);
    return () => {
      if (hasFocus(it)) focus(isThere(before) ? before : (again(before) ?? stage()));
    };
  }, []);
}

/**
 * Looks after the focus until the returned function is called. Where the control that has it goes away, which browsers take for a click beside
 * everything, the focus goes to what was around it.
 */
export function keepFocus(): () => void {
  let path: readonly Element[] = [];
  const remember = ({ target }: FocusEvent): void => {
    path = target instanceof Element ? around(target) : [];
  };
  const observer = new MutationObserver(() => {
    const [last] = path;
    if (!last || last.isConnected || document.activeElement !== document.body) return;
    focus(path.find(isThere) ?? stage());
  });
  addEventListener("focusin", remember);
  observer.observe(document.body, { childList: true, subtree: true });
  return () => {
    removeEventListener("focusin", remember);
    observer.disconnect();
  };
}

/** An element, and what around it can have the focus too. */
function around(element: Element): Element[] {
  const outer = element.parentElement?.closest("[tabindex]");
  return outer ? [element, ...around(outer)] : [element];
}

const isThere = (element: Element | null): element is HTMLElement => element instanceof HTMLElement && element !== document.body && element.isConnected;

/** The same control made anew: a phone was turned, and a button left the bar and came back. */
const again = (element: Element | null): HTMLElement | null => (element?.id ? document.getElementById(element.id) : null);

/** It is always there, and no control: the shortcuts work. */
const stage = (): HTMLElement | null => document.querySelector("main");

const focus = (element: HTMLElement | null): void => element?.focus({ preventScroll: true });
