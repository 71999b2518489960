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
        <path class="brand-figure" d="M5.5 13a6.5 6.5 0 1 1 13 0a6.5 6.5 0 0 1-6.5 6.5H5.5z" />
        <path class="brand-figure second" d="M26.5 19a6.5 6.5 0 1 1-13 0a6.5 6.5 0 0 1 6.5-6.5h6.5z" />
      </svg>
      Parley
    </span>
  );
}
