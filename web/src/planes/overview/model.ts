import type { UseQueryResult } from '@tanstack/react-query';
import type { Answer } from '../../api/hooks.ts';

export type ApiHealth = UseQueryResult<Answer<'/api-health'>>;
