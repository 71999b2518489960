import type { JSX } from "preact";
import type { IconName } from "./sprite.gen.js";

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class={`icon icon-${name}`} aria-hidden="true">
      <use href={`#icon-${name}`} />
    </svg>
  );
}

/** The mark beside Parley's name. */
export function Brand(): JSX.Element {
  return (
    <span class="brand">
      <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
        <rect class="brand-ground" width="32" height="32" rx="9" />
        <path
          class="brand-figure"
          d="M8 9.5A2.5 2.5 0 0 1 10.5 7h11A2.5 2.5 0 0 1 24 9.5v8a2.5 2.5 0 0 1-2.5 2.5H15l-4.6 4.4c-.5.5-1.4.1-1.4-.6V20A2.5 2.5 0 0 1 8 17.5z"
        />
        <circle class="brand-ground" cx="13" cy="13.5" r="1.6" />
        <circle class="brand-ground" cx="19" cy="13.5" r="1.6" />
      </svg>
      Parley
    </span>
  );
}
