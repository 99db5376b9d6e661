import { createContext } from 'react';

/** When recording began, written, where the period before is not whole: a change against it would say nothing. */
export const Began = createContext<string | null>(null);
