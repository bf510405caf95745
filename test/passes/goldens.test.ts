/** Every pass against its goldens, each validated by running both graphs. */
import { decompose } from 'hone/passes/decompose';
import { eliminateDead } from 'hone/passes/eliminate-dead';
import { goldenTests } from '../support/golden.js';

for (const pass of [decompose, eliminateDead]) goldenTests(pass);
